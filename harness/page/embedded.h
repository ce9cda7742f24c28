#pragma once
// The files of this folder, as they were when the tool was built (cmake/embed.cmake).
//
//   out << embedded::page_css;
//
// Constants: any thread.

#include <string_view>

namespace touchstone::harness::embedded {

extern const std::string_view page_html;
extern const std::string_view page_css;
extern const std::string_view page_js;

}  // namespace touchstone::harness::embedded
