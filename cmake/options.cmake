# Flags live on an interface target, never in CMAKE_CXX_FLAGS.
add_library(celeriac_options INTERFACE)
target_compile_features(celeriac_options INTERFACE cxx_std_20)
target_compile_options(celeriac_options INTERFACE
  $<BUILD_INTERFACE:-Wall;-Wextra;-Wpedantic;$<$<NOT:$<BOOL:${CELERIAC_UNITY}>>:-Wshadow>;-Wnon-virtual-dtor;-Wno-missing-field-initializers>)
target_include_directories(celeriac_options INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/celeriac>)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# A batch is one translation unit: what two of its files call the same in unnamed namespaces collides. A file whose
# names are its own business stays out of batches by SKIP_UNITY_BUILD_INCLUSION. The warnings that are silenced speak of
# such meetings (a local name is another file's global), or g++ 12 gives them when it inlines Boost's coroutines; single files are
# compiled with all of them.
set(CMAKE_UNITY_BUILD_BATCH_SIZE 32)
if(CELERIAC_UNITY)
  add_compile_options(-Wno-subobject-linkage -Wno-maybe-uninitialized -Wno-mismatched-new-delete)
endif()

if(CELERIAC_SANITIZE)
  add_compile_options(-fsanitize=${CELERIAC_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${CELERIAC_SANITIZE})
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Objects are shared between build folders and checkouts: paths count relative to the source.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()
