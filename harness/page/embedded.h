#pragma once
// The files of this folder, and the tables of planted bugs (harness/mutants/), as they were when the tool was built (cmake/embed.cmake).
//
//   out << embedded::page_css;
//
// Constants: any thread.

#include <string_view>

namespace touchstone::harness::embedded {

extern const std::string_view page_html;
extern const std::string_view page_css;
extern const std::string_view page_js;
extern const std::string_view report_html;
extern const std::string_view report_css;
extern const std::string_view report_js;
extern const std::string_view store_txt;
extern const std::string_view contention_txt;
extern const std::string_view segments_txt;

}  // namespace touchstone::harness::embedded
