// What 95 % intervals and verdicts are worth: campaigns of known laws, drawn many times and judged. The
// program planted_worlds prints the tables of outputs/published/planted/README.md, the tests run them with fewer campaigns.
#pragma once

#include <string>
#include <vector>

#include "theory/rows/rows.hpp"

namespace hone::theory {

struct WorldOptions {
  int campaigns = 500;
  int threads = 1;  ///< over campaigns; the counts do not depend on it
};

/// How often the interval of one number held its planted value.
struct Coverage {
  std::string family;
  std::string number;
  double planted = 0;
  int held = 0;
  int campaigns = 0;
  int missing = 0;          ///< campaigns without an interval; they count as not held
  double median_width = 0;  ///< of the intervals that there were
};

/// Parameters of every law that a verdict fits, on the reference grid with the noise of real runs.
std::vector<Coverage> law_coverage(const WorldOptions& options);

/// Where the promise ends: few trajectories, and deviations that all seeds of a size share.
std::vector<Coverage> limit_coverage(const WorldOptions& options);

/// How often a question came out each way in one world.
struct OutcomeRate {
  std::string world;
  std::string question;
  std::string wanted;
  int supported = 0, refuted = 0, inconclusive = 0;
};

/// Outcomes, and how often the interval of the deciding number held its planted value.
struct VerdictTables {
  std::vector<OutcomeRate> outcomes;
  std::vector<Coverage> coverage;
};

/// Worlds of growth through the judges of Q1 and Q2.
/// cost  a second per campaign and world
VerdictTables growth_tables(const WorldOptions& options);

/// Worlds of directions, prediction, cooling and composition through the judges of Q3 to Q6.
VerdictTables contrast_tables(const WorldOptions& options);

/// Worlds on the design of a real study: its arms, checkpoints, noise and drop rules, with so many seeds of each arm. The
/// first are of growth (Q1, Q2), the others of prediction, contrasts, D/N and the plateau (Q3, Q5, Q9, Q10).
/// expects rows of damage and curvature of several seeds
/// cost    seconds per campaign and world of growth, hundredths of the others
VerdictTables real_growth_tables(const Table& study, int seeds, const WorldOptions& options);
VerdictTables real_contrast_tables(const Table& study, int seeds, const WorldOptions& options);

/// Worlds of forms and of training at low precision through the judges of Q7 and Q8.
/// cost  seconds per campaign
VerdictTables form_tables(const WorldOptions& options);

}  // namespace hone::theory
