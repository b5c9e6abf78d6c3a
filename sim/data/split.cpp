#include "sim/data/split.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace hone {

std::vector<bool> held_out(Index count, double fraction) {
  EXPECTS(count >= 2, "held_out: {} items cannot be split", count);
  EXPECTS(fraction > 0 && fraction < 1, "held_out: fraction is {}", fraction);
  const Stream stream{.seed = 0, .domain = Domain::split, .substream = 0};
  std::vector<double> draw(static_cast<size_t>(count));
  for (Index i = 0; i < count; ++i) draw[i] = uniform(stream, static_cast<std::uint64_t>(i));
  std::vector<Index> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), Index(0));
  std::sort(order.begin(), order.end(),
            [&](Index a, Index b) { return draw[a] != draw[b] ? draw[a] < draw[b] : a < b; });
  const Index wanted = static_cast<Index>(std::llround(fraction * static_cast<double>(count)));
  const Index chosen = std::clamp<Index>(wanted, 1, count - 1);
  std::vector<bool> flags(static_cast<size_t>(count), false);
  for (Index k = 0; k < chosen; ++k) flags[order[k]] = true;
  return flags;
}

}  // namespace hone
