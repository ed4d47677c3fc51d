# Builds src/workflow/workflow.schema.json into the program: a changed file is made into source anew when CMake next runs by itself.
set(larder_workflow_schema_file ${CMAKE_CURRENT_LIST_DIR}/workflow.schema.json)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${larder_workflow_schema_file})
file(READ ${larder_workflow_schema_file} larder_workflow_schema_json)
configure_file(${CMAKE_CURRENT_LIST_DIR}/published_schema.cpp.in ${CMAKE_BINARY_DIR}/generated/workflow/published_schema.cpp @ONLY)
target_sources(larder_workflow PRIVATE ${CMAKE_BINARY_DIR}/generated/workflow/published_schema.cpp)
