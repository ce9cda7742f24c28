# touchstone_embed(TARGET FILE...): compiles each file into the target, as text that harness/page.h declares.
#
# page/page.html becomes `const std::string_view page_html`, in the namespace touchstone::harness::embedded.
function(touchstone_embed target)
  foreach(file ${ARGN})
    get_filename_component(name ${file} NAME)
    string(REPLACE "." "_" name ${name})
    set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded_${name}.cpp)
    add_custom_command(OUTPUT ${out} DEPENDS ${file} ${PROJECT_SOURCE_DIR}/cmake/embed_one.cmake
                       COMMAND ${CMAKE_COMMAND} -DIN=${CMAKE_CURRENT_SOURCE_DIR}/${file} -DOUT=${out} -DNAME=${name}
                               -P ${PROJECT_SOURCE_DIR}/cmake/embed_one.cmake)
    target_sources(${target} PRIVATE ${out})
  endforeach()
endfunction()
