# oneDNN and Highway for the CPU provider.
if(NOT dnnl_FOUND)
  message(FATAL_ERROR "The CPU provider needs oneDNN 3.5 or newer with the threadpool runtime; tools/dependencies builds it. "
    "To do without it, leave 'cpu' out of ASHLAR_BACKENDS.")
endif()
target_include_directories(ashlar_backend_cpu SYSTEM PRIVATE $<TARGET_PROPERTY:DNNL::dnnl,INTERFACE_INCLUDE_DIRECTORIES>
  $<TARGET_PROPERTY:hwy::hwy,INTERFACE_INCLUDE_DIRECTORIES>)
target_compile_definitions(ashlar_backend_cpu PRIVATE "HWY_DISABLED_TARGETS=(HWY_SSSE3|HWY_SSE4|HWY_AVX3_DL)")
set_property(GLOBAL APPEND PROPERTY ASHLAR_BACKEND_LIBRARIES DNNL::dnnl hwy::hwy)
