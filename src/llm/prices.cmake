# Builds src/llm/prices.json into the program: a changed file is made into source anew when CMake next runs by itself.
set(larder_prices_file ${CMAKE_CURRENT_LIST_DIR}/prices.json)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${larder_prices_file})
file(READ ${larder_prices_file} larder_prices_json)
configure_file(${CMAKE_CURRENT_LIST_DIR}/built_in_prices.cpp.in ${CMAKE_BINARY_DIR}/generated/llm/built_in_prices.cpp @ONLY)
target_sources(larder_llm PRIVATE ${CMAKE_BINARY_DIR}/generated/llm/built_in_prices.cpp)
