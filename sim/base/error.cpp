#include "sim/base/error.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace hone {

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

namespace detail {
void contract_failed(const char* condition, const char* file, int line, const std::string& what) {
  throw ContractError(fmt::format("{} (expected {}; {}:{})", what, condition, file, line));
}
}  // namespace detail

}  // namespace hone
