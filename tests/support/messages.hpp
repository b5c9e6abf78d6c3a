// What an error says: the tests of messages ask for the parts that a user needs.
#pragma once

#include <string>
#include <string_view>

namespace hone::test {

/// Message of the E that `act` throws; "" when it throws nothing, and another exception passes
/// through.
template <class E, class Act>
std::string message_of(Act&& act) {
  try {
    act();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

inline bool mentions(std::string_view message, std::string_view part) { return message.find(part) != message.npos; }

}  // namespace hone::test
