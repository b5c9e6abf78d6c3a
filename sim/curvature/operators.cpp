#include "sim/curvature/operators.hpp"

#include <memory>
#include <utility>

namespace hone {
namespace {

using Change = std::function<void(const Vector<double>& from, Vector<double>& to)>;
using Finish = std::function<void(const Vector<double>& v, Vector<double>& product)>;

/// v -> finish(v, A before(v)). Columns pass through the same two functions one by one, which is what makes
/// apply_many equal to apply bit for bit.
struct Sandwich {
  Index size = 0;
  LinearOperator inner;
  Change before;
  Finish finish;

  void apply(const Vector<double>& v, Vector<double>& result) const {
    EXPECTS(v.size() == size, "operator of size {}: vector of {}", size, v.size());
    Vector<double> changed;
    before(v, changed);
    inner.apply(changed, result);
    finish(v, result);
  }

  void apply_many(const Basis& v, Basis& result) const {
    EXPECTS(v.rows() == size, "operator of size {}: vectors of {}", size, v.rows());
    Basis changed(inner.size, v.cols()), product;
    Vector<double> column;
    for (Index j = 0; j < v.cols(); ++j) {
      before(v.col(j), column);
      changed.col(j) = column;
    }
    multiply(inner, changed, product);
    result.resize(size, v.cols());
    for (Index j = 0; j < v.cols(); ++j) {
      column = product.col(j);
      finish(v.col(j), column);
      result.col(j) = column;
    }
  }
};

/// One copy of the parts (a basis may be large), shared by all copies of the operator.
LinearOperator operator_of(Sandwich parts) {
  const auto shared = std::make_shared<const Sandwich>(std::move(parts));
  return {shared->size, [shared](const Vector<double>& v, Vector<double>& result) { shared->apply(v, result); },
          [shared](const Basis& v, Basis& result) { shared->apply_many(v, result); }};
}

void keep(const Vector<double>& v, Vector<double>& same) { same = v; }

}  // namespace

void multiply(const LinearOperator& op, const Basis& v, Basis& result) {
  EXPECTS(v.rows() == op.size, "multiply: vectors of {}, operator of size {}", v.rows(), op.size);
  if (op.apply_many) return op.apply_many(v, result);
  result.resize(op.size, v.cols());
  Vector<double> product;
  for (Index j = 0; j < v.cols(); ++j) {
    op.apply(v.col(j), product);
    result.col(j) = product;
  }
}

LinearOperator restrict_to(LinearOperator full, std::vector<Index> positions) {
  for (Index p : positions)
    EXPECTS(p >= 0 && p < full.size, "restrict_to: position {} in an operator of size {}", p, full.size);
  const Index size = Index(positions.size()), wide = full.size;
  const auto shared = std::make_shared<const std::vector<Index>>(std::move(positions));
  const auto embed = [shared, wide](const Vector<double>& v, Vector<double>& to) {
    to = Vector<double>::Zero(wide);
    for (Index i = 0; i < v.size(); ++i) to[(*shared)[size_t(i)]] = v[i];
  };
  const auto gather = [shared](const Vector<double>& v, Vector<double>& product) {
    Vector<double> kept(v.size());
    for (Index i = 0; i < v.size(); ++i) kept[i] = product[(*shared)[size_t(i)]];
    product.swap(kept);
  };
  return operator_of({size, std::move(full), embed, gather});
}

LinearOperator scaled(LinearOperator op, Vector<double> d) {
  EXPECTS(d.size() == op.size, "scaled: diagonal of {}, operator of size {}", d.size(), op.size);
  const Index size = op.size;
  const auto shared = std::make_shared<const Vector<double>>(std::move(d));
  const auto before = [shared](const Vector<double>& v, Vector<double>& to) { to = shared->cwiseProduct(v); };
  const auto finish = [shared](const Vector<double>&, Vector<double>& product) { product.array() *= shared->array(); };
  return operator_of({size, std::move(op), before, finish});
}

LinearOperator shifted(LinearOperator op, double s) {
  const Index size = op.size;
  const auto finish = [s](const Vector<double>& v, Vector<double>& product) { product += s * v; };
  return operator_of({size, std::move(op), keep, finish});
}

LinearOperator projected(LinearOperator op, Basis u) {
  EXPECTS(u.rows() == op.size, "projected: vectors of {}, operator of size {}", u.rows(), op.size);
  const Index size = op.size;
  const auto project = [basis = std::make_shared<const Basis>(std::move(u))](Vector<double>& v) {
    const Vector<double> parts = basis->transpose() * v;
    v.noalias() -= *basis * parts;
  };
  const auto before = [project](const Vector<double>& v, Vector<double>& to) { to = v, project(to); };
  const auto finish = [project](const Vector<double>&, Vector<double>& product) { project(product); };
  return operator_of({size, std::move(op), before, finish});
}

LinearOperator linear_combination(std::vector<Term> terms) {
  EXPECTS(!terms.empty(), "linear_combination: no term");
  const Index size = terms.front().op.size;
  for (const Term& term : terms)
    EXPECTS(term.op.size == size, "linear_combination: operators of size {} and {}", size, term.op.size);
  const auto one = [terms](const Vector<double>& v, Vector<double>& result) {
    Vector<double> product;
    result = Vector<double>::Zero(v.size());
    for (const Term& term : terms) {
      term.op.apply(v, product);
      result += term.factor * product;
    }
  };
  const auto many = [terms = std::move(terms)](const Basis& v, Basis& result) {
    Basis products;
    Vector<double> sum, product;
    result = Basis::Zero(v.rows(), v.cols());
    for (const Term& term : terms) {
      multiply(term.op, v, products);
      for (Index j = 0; j < v.cols(); ++j) {
        sum = result.col(j), product = products.col(j);
        sum += term.factor * product;
        result.col(j) = sum;
      }
    }
  };
  return {size, one, many};
}

}  // namespace hone
