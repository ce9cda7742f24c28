# One file as a C++ source: its bytes, so that nothing in it needs an escape.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
file(WRITE ${OUT} "#include \"harness/page/embedded.h\"\n\nnamespace touchstone::harness::embedded {\nnamespace {\n"
                  "constexpr char kBytes[] = {${bytes}'\\0'};\n}\nconst std::string_view ${NAME}(kBytes, sizeof kBytes - 1);\n}\n")
