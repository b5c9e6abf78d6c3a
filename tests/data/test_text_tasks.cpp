#include "sim/data/text_tasks.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <sstream>

#include "sim/base/error.hpp"

using namespace hone;

namespace {

const std::vector<TextTask> all_tasks = {TextTask::copy, TextTask::addition, TextTask::brackets};

/// What the answer must be, from the question alone.
std::string solved(const std::string& question) {
  const std::string given = question.substr(question.find(' ') + 1, question.size() - question.find(' ') - 2);
  if (question.starts_with("copy ")) return given + "\n";
  if (question.starts_with("add ")) {
    const std::size_t plus = given.find('+');
    return std::to_string(std::stoi(given.substr(0, plus)) + std::stoi(given.substr(plus + 1))) + "\n";
  }
  const std::map<char, char> closing = {{'(', ')'}, {'[', ']'}, {'{', '}'}};
  std::string answer;
  for (auto open = given.rbegin(); open != given.rend(); ++open) answer += closing.at(*open);
  return answer + "\n";
}

}  // namespace

TEST_SUITE_BEGIN("data");

TEST_CASE("tasks: every answer follows from its question, and many exercises differ") {
  for (const TextTask task : all_tasks) {
    std::set<std::string> lines;
    for (std::uint64_t e = 0; e < 300; ++e) {
      const Exercise exercise = exercise_of(task, ExerciseUse::training, 1, e);
      CHECK(exercise.question.back() == '=');
      CHECK(exercise.answer == solved(exercise.question));
      lines.insert(exercise.line());
    }
    CHECK(lines.size() >= (task == TextTask::brackets ? 27 : 150));  // there are 27 bracket words
  }
}

TEST_CASE("tasks: an exercise is a function of task, use, seed and number") {
  const auto line = [](ExerciseUse use, std::uint64_t seed, std::uint64_t number) {
    std::string all;
    for (std::uint64_t e = number; e < number + 5; ++e) all += exercise_of(TextTask::copy, use, seed, e).line();
    return all;
  };
  const std::string one = line(ExerciseUse::training, 1, 0);
  CHECK(line(ExerciseUse::training, 1, 0) == one);
  CHECK(line(ExerciseUse::scoring, 1, 0) != one);
  CHECK(line(ExerciseUse::validation, 1, 0) != line(ExerciseUse::scoring, 1, 0));
  CHECK(line(ExerciseUse::training, 2, 0) != one);
  CHECK(line(ExerciseUse::training, 1, 5) != one);
}

TEST_CASE("tasks: a mixed text keeps its own lines in order and holds the share of exercises after every one of them") {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "line " + std::to_string(i) + " of the text\n";
  const std::string mixed = with_exercises(text, all_tasks, 0.3, ExerciseUse::training, 1);
  std::istringstream lines(mixed);
  std::string line, own;
  double of_tasks = 0, whole = 0;
  std::map<std::string, int> counts;
  while (std::getline(lines, line)) {
    whole += double(line.size() + 1);
    if (line.find('=') == line.npos) {
      if (!own.empty()) CHECK(of_tasks >= 0.3 * (whole - double(line.size() + 1)));
      own += line + "\n";
    } else {
      of_tasks += double(line.size() + 1), ++counts[line.substr(0, line.find(' '))];
    }
  }
  CHECK(own == text);
  CHECK(of_tasks / whole >= 0.3);
  CHECK(of_tasks / whole < 0.3 + 20 / whole);
  CHECK(counts.size() == 3);
  CHECK(std::abs(counts["copy"] - counts["add"]) <= 1);
  CHECK(with_exercises("no line end", all_tasks, 0.3, ExerciseUse::training, 1) == "no line end");
}

TEST_CASE("tasks: an unknown name is answered with the nearest") {
  CHECK(text_task_from_name("addition", "data.prose") == TextTask::addition);
  CHECK_THROWS_WITH_AS(text_task_from_name("adition", "data.prose"), doctest::Contains("did you mean \"addition\""),
                       OptionError);
}

TEST_SUITE_END();
