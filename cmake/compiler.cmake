# Compiler, warnings, sanitizers, ccache.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
    message(FATAL_ERROR "g++ before 14 miscompiles common co_await expressions: use clang++-19 (the presets do).")
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

set(LARDER_SANITIZER "" CACHE STRING "address, thread, or empty")
option(LARDER_FUZZERS "build the libFuzzer targets" OFF)

add_library(larder_options INTERFACE)
target_include_directories(larder_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(larder_options INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Werror
    -Wno-missing-field-initializers -Wno-missing-designated-field-initializers)
target_compile_definitions(larder_options INTERFACE
    LARDER_VERSION="${PROJECT_VERSION}" LARDER_SOURCE_DIR="${CMAKE_SOURCE_DIR}" BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION
    BOOST_BEAST_SEPARATE_COMPILATION)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_link_options(larder_options INTERFACE -fuse-ld=lld)
endif()
if(LARDER_SANITIZER STREQUAL "address")
    target_compile_options(larder_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    target_link_options(larder_options INTERFACE -fsanitize=address,undefined)
elseif(LARDER_SANITIZER STREQUAL "thread")
    target_compile_options(larder_options INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
    target_link_options(larder_options INTERFACE -fsanitize=thread)
endif()
if(LARDER_FUZZERS)
    target_compile_options(larder_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
