# The library users link, in three forms over the same objects:
#   ashlar::ashlar in the build tree   the static targets together, for the tools and tests
#   libashlar.so                       hidden symbols, one soname
#   libashlar.a                        one archive in which every symbol that is not Ashlar's is local
get_property(own GLOBAL PROPERTY ASHLAR_OWN_LIBRARIES)
get_property(backend_libraries GLOBAL PROPERTY ASHLAR_BACKEND_LIBRARIES)
set(third_party ONNX::onnx ONNX::onnx_proto protobuf::libprotobuf-lite ${backend_libraries})

add_library(ashlar_whole INTERFACE)
target_include_directories(ashlar_whole INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
target_link_libraries(ashlar_whole INTERFACE -Wl,--start-group ${own} -Wl,--end-group ${third_party} Threads::Threads)
if(ASHLAR_SANITIZE)
  target_link_options(ashlar_whole INTERFACE -fsanitize=${ASHLAR_SANITIZE})
endif()
add_library(ashlar::ashlar ALIAS ashlar_whole)

if(ASHLAR_INSTALL)
  include(Install)
endif()
