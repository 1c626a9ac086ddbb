# Writes OUT, a C++ source that holds the files of FOLDER as text: cmake -DFOLDER=web -DOUT=web_files.cpp -P embed.cmake
file(GLOB paths ${FOLDER}/*.html ${FOLDER}/*.css ${FOLDER}/*.js)
list(SORT paths)
set(entries "")
foreach(path IN LISTS paths)
  get_filename_component(name "${path}" NAME)
  file(READ "${path}" text)
  string(FIND "${text}" ")crate_web\"" clash)
  if(NOT clash EQUAL -1)
    message(FATAL_ERROR "${path} holds the mark that ends an embedded text")
  endif()
  string(APPEND entries "    {\"${name}\", R\"crate_web(${text})crate_web\"},\n")
endforeach()
file(WRITE "${OUT}.new" "// Made from the files of web/ by scripts/embed.cmake.
#include \"work/page/files.h\"

#include \"base/error.h\"

namespace crate {
namespace {

struct Entry {
  std::string_view name, text;
};

constexpr Entry entries[] = {
${entries}};

}  // namespace

std::string_view web_file(std::string_view name) {
  for (const Entry& e : entries) {
    if (e.name == name) return e.text;
  }
  fail(\"[web] no page part '{}' was built in\", name);
}

}  // namespace crate
")
file(RENAME "${OUT}.new" "${OUT}")
