// Small tasks as lines of text that are mixed into a corpus, and fresh exercises of them: what a language model of a few
// thousand parameters can be right or wrong about.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

enum class TextTask {
  copy,      ///< four letters once more: "copy gadf=gadf"
  addition,  ///< the sum of two numbers below 20: "add 7+15=22"
  brackets,  ///< the closing brackets of three opening ones: "close ([{=}])"
};

/// Their names in study files, in the order of the enum.
const std::vector<std::string>& text_task_names();
/// errors  OptionError naming `where`, with the nearest name
TextTask text_task_from_name(std::string_view name, std::string_view where);

/// A line of a task: the question up to "=", and the answer with the line end that closes it.
struct Exercise {
  std::string question, answer;

  std::string line() const { return question + answer; }
};

/// What exercises are for. Those of different uses are drawn apart; where a task has few exercises they repeat.
enum class ExerciseUse { training, validation, scoring };

/// Exercise `number` of a task: a pure function of its arguments.
Exercise exercise_of(TextTask task, ExerciseUse use, std::uint64_t seed, std::uint64_t number);

/// The text with lines of the tasks, in turn, after its own lines.
/// expects  0 ≤ share < 1; at least one task
/// ensures  after each of its lines at least `share` of the bytes are those of exercises, and at most one line more
std::string with_exercises(std::string_view text, const std::vector<TextTask>& tasks, double share, ExerciseUse use,
                           std::uint64_t seed);

}  // namespace hone
