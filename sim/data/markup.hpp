// Marked-up text -> plain paragraphs, one per line: HTML pages and the OSIS/ThML/GBF markup of
// SWORD modules. Real pages hold errors, such as a stray '<' or an unknown entity. They are not an error here: what is
// not markup is text.
#pragma once

#include <string>
#include <string_view>

namespace hone {

/// Paragraphs of prose in an HTML page: text outside scripts, tables, code and navigation, blanks
/// collapsed, entities decoded; lines under 60 bytes or 8 blanks (menus, captions) are dropped.
std::string text_of_html(std::string_view html);

/// Text of one block of a SWORD module: tags dropped, entities decoded, blanks collapsed,
/// paragraphs kept apart.
std::string text_of_sword_markup(std::string_view markup);

}  // namespace hone
