// RMSNorm  y = x·r·w,  r = (mean(x²)+eps)^(-1/2), and LayerNorm  y = (x-mean x)·r·w + b,  r = (var x + eps)^(-1/2).
// Statistics run over the C channels of one row; the variance divides by C.
//   shapes  x, y (M,C)  w, b (C)  r, mean (M)
//   source  Zhang & Sennrich 2019 (RMSNorm); Ba et al. 2016 (LayerNorm); R-operators derived by the product rule
#pragma once

#include <cmath>

#include "sim/base/matrix.hpp"

namespace hone {

template <class S>
using ConstRow = Eigen::Map<const Eigen::Array<S, 1, Eigen::Dynamic>>;
template <class S>
using Row = Eigen::Map<Eigen::Array<S, 1, Eigen::Dynamic>>;

/// y = x·r·w; r is saved for the other passes.
template <class S>
void rmsnorm_forward(MatView<S> y, S* r, ConstMatView<S> x, const S* w, double eps) {
  using std::sqrt;
  const ConstRow<S> weight(w, x.cols());
  for (Index m = 0; m < x.rows(); ++m) {
    r[m] = S(1) / sqrt(x.row(m).squaredNorm() / S(double(x.cols())) + S(eps));  // F1
    y.row(m).array() = x.row(m).array() * r[m] * weight;                        // F2
  }
}

/// dx += r·g - x·(r³/C)·Σ g x  with g = w·dy;   dw += dy·x·r.
template <class S>
void rmsnorm_backward(MatView<S> dx, S* dw, ConstMatView<S> dy, ConstMatView<S> x, const S* r, const S* w) {
  const Index channels = x.cols();
  const ConstRow<S> weight(w, channels);
  Row<S> dweight(dw, channels);
  for (Index m = 0; m < x.rows(); ++m) {
    const auto xm = x.row(m).array();
    const auto dym = dy.row(m).array();
    const S s = (weight * dym * xm).sum();
    const S c = r[m] * r[m] * r[m] / S(double(channels));
    dx.row(m).array() += weight * dym * r[m] - xm * (c * s);  // B1 from F1, F2
    dweight += dym * xm * r[m];                               // B2 from F2
  }
}

/// ty = tx·r·w + x·tr·w + x·r·tw,   tr = -(r³/C)·Σ x tx (saved).
template <class S>
void rmsnorm_tforward(MatView<S> ty, S* tr, ConstMatView<S> tx, ConstMatView<S> x, const S* r, const S* w,
                      const S* tw) {
  const ConstRow<S> weight(w, x.cols()), tweight(tw, x.cols());
  for (Index m = 0; m < x.rows(); ++m) {
    const auto xm = x.row(m).array();
    const auto txm = tx.row(m).array();
    tr[m] = -r[m] * r[m] * r[m] / S(double(x.cols())) * (xm * txm).sum();          // R F1
    ty.row(m).array() = (txm * r[m] + xm * tr[m]) * weight + xm * r[m] * tweight;  // R F2
  }
}

/// Tangents of B1 and B2, each factor in turn; tdx and tdw are added to.
template <class S>
void rmsnorm_tbackward(MatView<S> tdx, S* tdw, ConstMatView<S> tdy, ConstMatView<S> dy, ConstMatView<S> tx,
                       ConstMatView<S> x, const S* tr, const S* r, const S* w, const S* tw) {
  const Index channels = x.cols();
  const ConstRow<S> weight(w, channels), tweight(tw, channels);
  Row<S> tdweight(tdw, channels);
  for (Index m = 0; m < x.rows(); ++m) {
    const auto xm = x.row(m).array();
    const auto txm = tx.row(m).array();
    const auto dym = dy.row(m).array();
    const auto tdym = tdy.row(m).array();
    const S s = (weight * dym * xm).sum();
    const S ts = ((tweight * dym + weight * tdym) * xm + weight * dym * txm).sum();
    const S c = r[m] * r[m] * r[m] / S(double(channels));
    const S tc = S(3) * r[m] * r[m] * tr[m] / S(double(channels));
    tdx.row(m).array() += (tweight * dym + weight * tdym) * r[m] + weight * dym * tr[m]  // R B1, first term
                          - txm * (c * s) - xm * (tc * s + c * ts);                      // R B1, second term
    tdweight += tdym * xm * r[m] + dym * txm * r[m] + dym * xm * tr[m];                  // R B2
  }
}

/// y = (x-mean)·r·w + b; mean and r are saved.
template <class S>
void layernorm_forward(MatView<S> y, S* mean, S* r, ConstMatView<S> x, const S* w, const S* b, double eps) {
  using std::sqrt;
  const S channels = S(double(x.cols()));
  const ConstRow<S> weight(w, x.cols()), bias(b, x.cols());
  for (Index m = 0; m < x.rows(); ++m) {
    const auto xm = x.row(m).array();
    mean[m] = xm.sum() / channels;                                          // F1
    r[m] = S(1) / sqrt((xm - mean[m]).square().sum() / channels + S(eps));  // F2
    y.row(m).array() = (xm - mean[m]) * r[m] * weight + bias;               // F3
  }
}

/// dx += r·(g - mean g - h·mean(g h))  with g = w·dy, h = (x-mean)·r;   dw += dy·h;   db += dy.
template <class S>
void layernorm_backward(MatView<S> dx, S* dw, S* db, ConstMatView<S> dy, ConstMatView<S> x, const S* mean, const S* r,
                        const S* w) {
  const S channels = S(double(x.cols()));
  const ConstRow<S> weight(w, x.cols());
  Row<S> dweight(dw, x.cols()), dbias(db, x.cols());
  for (Index m = 0; m < x.rows(); ++m) {
    const auto h = (x.row(m).array() - mean[m]) * r[m];
    const auto dym = dy.row(m).array();
    const S m1 = (weight * dym).sum() / channels;
    const S m2 = (weight * dym * h).sum() / channels;
    dx.row(m).array() += (weight * dym - m1 - h * m2) * r[m];  // B1 from F1-F3
    dweight += dym * h;                                        // B2 from F3
    dbias += dym;                                              // B3 from F3
  }
}

/// ty = th·w + h·tw + tb  with th = r·(tx - mean tx - h·mean(h tx));  tmean = mean tx and tr = -r²·mean(h tx) saved.
template <class S>
void layernorm_tforward(MatView<S> ty, S* tmean, S* tr, ConstMatView<S> tx, ConstMatView<S> x, const S* mean,
                        const S* r, const S* w, const S* tw, const S* tb) {
  const S channels = S(double(x.cols()));
  const ConstRow<S> weight(w, x.cols()), tweight(tw, x.cols()), tbias(tb, x.cols());
  for (Index m = 0; m < x.rows(); ++m) {
    const auto xc = x.row(m).array() - mean[m];
    const auto txm = tx.row(m).array();
    tmean[m] = txm.sum() / channels;                                                                    // R F1
    tr[m] = -r[m] * r[m] * r[m] * (xc * txm).sum() / channels;                                          // R F2
    ty.row(m).array() = ((txm - tmean[m]) * r[m] + xc * tr[m]) * weight + xc * r[m] * tweight + tbias;  // R F3
  }
}

/// Tangents of B1-B3; tdx, tdw and tdb are added to.
template <class S>
void layernorm_tbackward(MatView<S> tdx, S* tdw, S* tdb, ConstMatView<S> tdy, ConstMatView<S> dy, ConstMatView<S> tx,
                         ConstMatView<S> x, const S* tmean, const S* tr, const S* mean, const S* r, const S* w,
                         const S* tw) {
  const S channels = S(double(x.cols()));
  const ConstRow<S> weight(w, x.cols()), tweight(tw, x.cols());
  Row<S> tdweight(tdw, x.cols()), tdbias(tdb, x.cols());
  for (Index m = 0; m < x.rows(); ++m) {
    const auto h = (x.row(m).array() - mean[m]) * r[m];
    const auto th = (tx.row(m).array() - tmean[m]) * r[m] + (x.row(m).array() - mean[m]) * tr[m];
    const auto dym = dy.row(m).array();
    const auto tdym = tdy.row(m).array();
    const auto g = weight * dym;
    const auto tg = tweight * dym + weight * tdym;
    const S m1 = g.sum() / channels, tm1 = tg.sum() / channels;
    const S m2 = (g * h).sum() / channels, tm2 = (tg * h + g * th).sum() / channels;
    tdx.row(m).array() += (g - m1 - h * m2) * tr[m] + (tg - tm1 - th * m2 - h * tm2) * r[m];  // R B1
    tdweight += tdym * h + dym * th;                                                          // R B2
    tdbias += tdym;                                                                           // R B3
  }
}

}  // namespace hone
