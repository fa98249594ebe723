# The CUDA toolkit, and the provider in backends/cuda put before the others.
enable_language(CUDA)
find_package(CUDAToolkit 12 REQUIRED)
if(EXISTS ${PROJECT_SOURCE_DIR}/backends/cuda)
  list(PREPEND ASHLAR_BACKENDS cuda)
else()
  message(WARNING "CUDA toolkit ${CUDAToolkit_VERSION} is there, but this version of Ashlar has no CUDA provider yet")
endif()
