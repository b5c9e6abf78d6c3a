#include "sim/base/error.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace hone::test {
namespace {

TEST_CASE("error: edit distance counts the fewest insertions, deletions and substitutions") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("flaw", "lawn") == 2);
  CHECK(edit_distance("intention", "execution") == 5);
}

TEST_CASE("error: edit distance is a metric [all words of up to 3 letters over {a, b}]") {
  std::vector<std::string> words{""};
  for (size_t i = 0; i < 7; ++i)
    for (const char letter : {'a', 'b'}) words.push_back(words[i] + letter);
  REQUIRE(words.size() == 15);
  for (const std::string& a : words)
    for (const std::string& b : words) {
      const int distance = edit_distance(a, b);
      CHECK((distance == 0) == (a == b));
      CHECK(distance == edit_distance(b, a));
      for (const std::string& c : words) CHECK(distance <= edit_distance(a, c) + edit_distance(c, b));
    }
}

TEST_CASE("error: the nearest name is the first of least distance, and empty without names") {
  const std::vector<std::string> names{"learning_rate", "weight_decay", "warmup"};
  CHECK(nearest_name("learnig_rate", names) == "learning_rate");
  CHECK(nearest_name("warm_up", names) == "warmup");
  CHECK(nearest_name("b", std::vector<std::string>{"a", "c"}) == "a");
  CHECK(nearest_name("anything", std::vector<std::string>{}).empty());
}

TEST_CASE("error: a broken precondition throws a ContractError with values, condition and place") {
  const int rows = -3;
  std::string message = "(nothing was thrown)";
  try {
    EXPECTS(rows >= 0, "matrix of {} rows", rows);
  } catch (const ContractError& error) {
    message = error.what();
  }
  CHECK(message.find("matrix of -3 rows") != std::string::npos);
  CHECK(message.find("rows >= 0") != std::string::npos);
  CHECK(message.find("test_error.cpp:") != std::string::npos);
  CHECK(message.find('\n') == std::string::npos);
}

TEST_CASE("error: a precondition that holds evaluates its condition once and its message never") {
  int conditions = 0, messages = 0;
  EXPECTS(++conditions > 0, "{}", ++messages);
  CHECK(conditions == 1);
  CHECK(messages == 0);
}

}  // namespace
}  // namespace hone::test
