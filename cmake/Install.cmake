# The libraries that are installed, the package description find_package(ashlar) reads, and the command.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

list(TRANSFORM own REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE own_objects)
list(TRANSFORM third_party REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE third_party_archives)

add_library(ashlar_shared SHARED ${own_objects})
set_target_properties(ashlar_shared PROPERTIES OUTPUT_NAME ashlar LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)
target_link_libraries(ashlar_shared PRIVATE ${third_party} Threads::Threads)
target_link_options(ashlar_shared PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map -Wl,--exclude-libs,ALL
  -Wl,-z,noexecstack -Wl,-z,defs)

set(archive ${CMAKE_ARCHIVE_OUTPUT_DIRECTORY}/libashlar.a)
add_custom_command(OUTPUT ${archive}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_ARCHIVE_OUTPUT_DIRECTORY}
  COMMAND ${PROJECT_SOURCE_DIR}/cmake/single_archive ${archive} ${own_objects} -- ${third_party_archives}
  DEPENDS ${own} ${own_objects} ${third_party_archives} ${PROJECT_SOURCE_DIR}/cmake/single_archive
  COMMENT "Joining libashlar.a, third-party symbols made local" COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(ashlar_static ALL DEPENDS ${archive})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ashlar)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/ashlarConfig.cmake.in ${PROJECT_BINARY_DIR}/package/ashlarConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/ashlarConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS ashlar_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${archive} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ashlar DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/package/ashlarConfig.cmake ${PROJECT_BINARY_DIR}/package/ashlarConfigVersion.cmake DESTINATION ${package_dir})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(ASHLAR_BUILD_TOOLS)
  install(PROGRAMS ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/ashlar DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
