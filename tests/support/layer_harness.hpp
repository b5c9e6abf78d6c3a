// One set of checks for every layer. A layer is given as a function of ONE flat vector (activations
// first, then parameters) to one flat vector, with its four passes:
//   parts()                               sizes of the inputs, and whether their adjoint is written
//   or added to forward(in, out)                      backward(in, dout, din) for double and Dual
//   tforward(in, tin, tout)               tbackward(in, dout, tin, tdout, tdin)        for double
//   naive(in)                             the twin of forward
#pragma once

#include <limits>
#include <vector>

#include "sim/base/gemm_any_scalar.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/dual.hpp"
#include "tests/support/near.hpp"

namespace hone::test {

struct InputPart {
  Index size = 0;
  Write adjoint = Write::assign;
};

/// Whether the layer has a second derivative along a random direction.
enum class Shape { curved, flat };

template <class Layer>
Index input_count(const Layer& layer) {
  Index count = 0;
  for (const InputPart& part : layer.parts()) count += part.size;
  return count;
}

/// NaN where a pass must write, 1 where it must add.
template <class S, class Layer>
Vector<S> poisoned(const Layer& layer) {
  Vector<S> din(input_count(layer));
  Index begin = 0;
  for (const InputPart& part : layer.parts()) {
    const bool adds = part.adjoint == Write::add;
    din.segment(begin, part.size).setConstant(S(adds ? 1.0 : std::numeric_limits<double>::quiet_NaN()));
    begin += part.size;
  }
  return din;
}

/// Takes the 1 of poisoned() away again.
template <class S, class Layer>
Vector<S> unpoisoned(const Layer& layer, Vector<S> din) {
  Index begin = 0;
  for (const InputPart& part : layer.parts()) {
    if (part.adjoint == Write::add) din.segment(begin, part.size).array() -= S(1);
    begin += part.size;
  }
  return din;
}

template <class S, class Layer>
Vector<S> forward(const Layer& layer, const Vector<S>& in) {
  Vector<S> out = Vector<S>::Constant(layer.output_count(), S(std::numeric_limits<double>::quiet_NaN()));
  layer.template forward<S>(in.data(), out.data());
  return out;
}
template <class S, class Layer>
Vector<S> backward(const Layer& layer, const Vector<S>& in, const Vector<S>& dout) {
  Vector<S> din = poisoned<S>(layer);
  layer.template backward<S>(in.data(), dout.data(), din.data());
  return unpoisoned<S>(layer, din);
}
template <class Layer>
Vector<double> tforward(const Layer& layer, const Vector<double>& in, const Vector<double>& tin) {
  Vector<double> tout = Vector<double>::Constant(layer.output_count(), std::numeric_limits<double>::quiet_NaN());
  layer.tforward(in.data(), tin.data(), tout.data());
  return tout;
}
template <class Layer>
Vector<double> tbackward(const Layer& layer, const Vector<double>& in, const Vector<double>& dout,
                         const Vector<double>& tin, const Vector<double>& tdout) {
  Vector<double> tdin = poisoned<double>(layer);
  layer.tbackward(in.data(), dout.data(), tin.data(), tdout.data(), tdin.data());
  return unpoisoned<double>(layer, tdin);
}

/// f(x+hv) - f(x) - h·tf falls as h² where f is curved and is rounding where it is flat. It needs
/// no dual number, so it also catches a mistake that the code shares with its duals.
template <class Layer>
void check_taylor(const Layer& layer, const Vector<double>& in, const Vector<double>& tin, Shape shape) {
  const Vector<double> out = forward<double>(layer, in), tout = tforward(layer, in, tin);
  const auto remainder = [&](double h) {
    return (forward<double>(layer, Vector<double>(in + h * tin)) - out - h * tout).norm();
  };
  const double h = 0x1p-12;
  if (shape == Shape::flat)
    CHECK(remainder(h) <= 1e-14 * (1 + in.norm() + out.norm()));
  else
    CHECK_NEAR(std::log2(remainder(h) / remainder(h / 2)), 2.0, 0.0, 0.05);
}

/// Both tangent passes are linear in the tangents they get.
template <class Layer>
void check_linearity(const Layer& layer, const Vector<double>& in, const Vector<double>& dout, std::uint32_t number) {
  const Index inputs = in.size(), outputs = dout.size();
  const Vector<double> u = normals(inputs, number), v = normals(inputs, number + 1);
  const Vector<double> du = normals(outputs, number + 2), dv = normals(outputs, number + 3);
  const Vector<double> mixed = 2 * u - 3 * v, dmixed = 2 * du - 3 * dv;
  CHECK(relative_error(tforward(layer, in, mixed),
                       Vector<double>(2 * tforward(layer, in, u) - 3 * tforward(layer, in, v))) <= 1e-12);
  CHECK(relative_error(tbackward(layer, in, dout, mixed, dmixed),
                       Vector<double>(2 * tbackward(layer, in, dout, u, du) - 3 * tbackward(layer, in, dout, v, dv))) <=
        1e-12);
  const Vector<double> zero = Vector<double>::Zero(inputs), dzero = Vector<double>::Zero(outputs);
  CHECK(tforward(layer, in, zero).cwiseAbs().maxCoeff() == 0);
  CHECK(tbackward(layer, in, dout, zero, dzero).cwiseAbs().maxCoeff() == 0);
}

/// All checks at the input `in`; `number` chooses the random directions.
template <class Layer>
void check_layer(const Layer& layer, const Vector<double>& in, Shape shape, std::uint32_t number) {
  CAPTURE(number);
  const Index inputs = in.size(), outputs = layer.output_count();
  const Vector<double> tin = normals(inputs, number), dout = normals(outputs, number + 1);
  const Vector<double> tdout = normals(outputs, number + 2);
  const Vector<double> out = forward<double>(layer, in), din = backward<double>(layer, in, dout);
  const Vector<double> tout = tforward(layer, in, tin), tdin = tbackward(layer, in, dout, tin, tdout);

  CHECK(relative_error(out, layer.naive(in)) <= 1e-12);
  const Vector<Dual> dual_in = dual_of(in, tin);
  CHECK(relative_error(tout, tangents(forward<Dual>(layer, dual_in).data(), outputs)) <= 1e-12);
  CHECK_NEAR(din.dot(tin), dout.dot(tout), 0.0, 1e-12 * dout.norm() * tout.norm());
  const Vector<Dual> dual_din = backward<Dual>(layer, dual_in, dual_of(dout, tdout));
  CHECK(relative_error(tdin, tangents(dual_din.data(), inputs)) <= 1e-12);
  check_taylor(layer, in, tin, shape);
  check_linearity(layer, in, dout, number + 3);
}

}  // namespace hone::test
