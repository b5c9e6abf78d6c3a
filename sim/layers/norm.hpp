// RMSNorm  y = x·r·w,  r = (mean(x²)+eps)^(-1/2), and LayerNorm  y = (x-mean x)·r·w + b,  r = (var x + eps)^(-1/2).
// Statistics run over the C channels of one row; the variance divides by C.
//   shapes  x, y (M,C)  w, b (C)  r, mean (M)
//   source  Zhang & Sennrich 2019 (RMSNorm); Ba et al. 2016 (LayerNorm); R-operators derived by the product rule
#pragma once

#include "sim/base/vector_math.hpp"

namespace hone {
namespace HONE_CLASS {

/// y = x·r·w; r is saved for the other passes.
template <class S>
void rmsnorm_forward(MatView<S> y, S* r, ConstMatView<S> x, const S* w, double eps) {
  using std::sqrt;
  const Index channels = x.cols();
  for (Index m = 0; m < x.rows(); ++m) {
    const S* xm = x.data() + m * channels;
    S* ym = y.data() + m * channels;
    const S squares = sum<S>(channels, [=](auto at) { return at(xm) * at(xm); });
    const S rm = r[m] = S(1) / sqrt(squares / S(double(channels)) + S(eps));  // F1
    each(channels, [=](Index i) { ym[i] = xm[i] * rm * w[i]; });              // F2
  }
}

/// dx += r·g - x·(r³/C)·Σ g x  with g = w·dy;   dw += dy·x·r.
template <class S>
void rmsnorm_backward(MatView<S> dx, S* dw, ConstMatView<S> dy, ConstMatView<S> x, const S* r, const S* w) {
  const Index channels = x.cols();
  for (Index m = 0; m < x.rows(); ++m) {
    const S *xm = x.data() + m * channels, *dym = dy.data() + m * channels;
    S* dxm = dx.data() + m * channels;
    const S rm = r[m], c = rm * rm * rm / S(double(channels));
    const S s = sum<S>(channels, [=](auto at) { return at(w) * at(dym) * at(xm); });
    each(channels, [=](Index i) {
      dxm[i] += w[i] * dym[i] * rm - xm[i] * (c * s);  // B1 from F1, F2
      dw[i] += dym[i] * xm[i] * rm;                    // B2 from F2
    });
  }
}

/// ty = tx·r·w + x·tr·w + x·r·tw,   tr = -(r³/C)·Σ x tx (saved).
template <class S>
void rmsnorm_tforward(MatView<S> ty, S* tr, ConstMatView<S> tx, ConstMatView<S> x, const S* r, const S* w,
                      const S* tw) {
  const Index channels = x.cols();
  for (Index m = 0; m < x.rows(); ++m) {
    const S *xm = x.data() + m * channels, *txm = tx.data() + m * channels;
    S* tym = ty.data() + m * channels;
    const S rm = r[m], s = sum<S>(channels, [=](auto at) { return at(xm) * at(txm); });
    const S trm = tr[m] = -rm * rm * rm / S(double(channels)) * s;                                       // R F1
    each(channels, [=](Index i) { tym[i] = (txm[i] * rm + xm[i] * trm) * w[i] + xm[i] * rm * tw[i]; });  // R F2
  }
}

/// Tangents of B1 and B2, each factor in turn; tdx and tdw are added to.
template <class S>
void rmsnorm_tbackward(MatView<S> tdx, S* tdw, ConstMatView<S> tdy, ConstMatView<S> dy, ConstMatView<S> tx,
                       ConstMatView<S> x, const S* tr, const S* r, const S* w, const S* tw) {
  const Index channels = x.cols();
  for (Index m = 0; m < x.rows(); ++m) {
    const S *xm = x.data() + m * channels, *txm = tx.data() + m * channels;
    const S *dym = dy.data() + m * channels, *tdym = tdy.data() + m * channels;
    S* tdxm = tdx.data() + m * channels;
    const S rm = r[m], trm = tr[m];
    const S s = sum<S>(channels, [=](auto at) { return at(w) * at(dym) * at(xm); });
    const S ts = sum<S>(
        channels, [=](auto at) { return (at(tw) * at(dym) + at(w) * at(tdym)) * at(xm) + at(w) * at(dym) * at(txm); });
    const S c = rm * rm * rm / S(double(channels)), tc = S(3) * rm * rm * trm / S(double(channels));
    each(channels, [=](Index i) {
      tdxm[i] += (tw[i] * dym[i] + w[i] * tdym[i]) * rm + w[i] * dym[i] * trm        // R B1, first term
                 - txm[i] * (c * s) - xm[i] * (tc * s + c * ts);                     // R B1, second term
      tdw[i] += tdym[i] * xm[i] * rm + dym[i] * txm[i] * rm + dym[i] * xm[i] * trm;  // R B2
    });
  }
}

/// y = (x-mean)·r·w + b; mean and r are saved.
template <class S>
void layernorm_forward(MatView<S> y, S* mean, S* r, ConstMatView<S> x, const S* w, const S* b, double eps) {
  using std::sqrt;
  const Index channels = x.cols();
  for (Index m = 0; m < x.rows(); ++m) {
    const S* xm = x.data() + m * channels;
    S* ym = y.data() + m * channels;
    const S u = mean[m] = sum<S>(channels, [=](auto at) { return at(xm); }) / S(double(channels));  // F1
    const S squares = sum<S>(channels, [=](auto at) { return (at(xm) - u) * (at(xm) - u); });
    const S rm = r[m] = S(1) / sqrt(squares / S(double(channels)) + S(eps));   // F2
    each(channels, [=](Index i) { ym[i] = (xm[i] - u) * rm * w[i] + b[i]; });  // F3
  }
}

/// dx += r·(g - mean g - h·mean(g h))  with g = w·dy, h = (x-mean)·r;   dw += dy·h;   db += dy.
template <class S>
void layernorm_backward(MatView<S> dx, S* dw, S* db, ConstMatView<S> dy, ConstMatView<S> x, const S* mean, const S* r,
                        const S* w) {
  const Index channels = x.cols();
  for (Index m = 0; m < x.rows(); ++m) {
    const S *xm = x.data() + m * channels, *dym = dy.data() + m * channels;
    S* dxm = dx.data() + m * channels;
    const S u = mean[m], rm = r[m];
    const S m1 = sum<S>(channels, [=](auto at) { return at(w) * at(dym); }) / S(double(channels));
    const S m2 = sum<S>(channels, [=](auto at) { return at(w) * at(dym) * ((at(xm) - u) * rm); }) / S(double(channels));
    each(channels, [=](Index i) {
      const S h = (xm[i] - u) * rm;
      dxm[i] += (w[i] * dym[i] - m1 - h * m2) * rm;  // B1 from F1-F3
      dw[i] += dym[i] * h;                           // B2 from F3
      db[i] += dym[i];                               // B3 from F3
    });
  }
}

/// ty = th·w + h·tw + tb  with th = r·(tx - mean tx - h·mean(h tx));  tmean = mean tx and tr = -r²·mean(h tx) saved.
template <class S>
void layernorm_tforward(MatView<S> ty, S* tmean, S* tr, ConstMatView<S> tx, ConstMatView<S> x, const S* mean,
                        const S* r, const S* w, const S* tw, const S* tb) {
  const Index channels = x.cols();
  for (Index m = 0; m < x.rows(); ++m) {
    const S *xm = x.data() + m * channels, *txm = tx.data() + m * channels;
    S* tym = ty.data() + m * channels;
    const S u = mean[m], rm = r[m];
    const S tu = tmean[m] = sum<S>(channels, [=](auto at) { return at(txm); }) / S(double(channels));  // R F1
    const S s = sum<S>(channels, [=](auto at) { return (at(xm) - u) * at(txm); });
    const S trm = tr[m] = -rm * rm * rm * s / S(double(channels));  // R F2
    each(channels, [=](Index i) {
      const S centred = xm[i] - u;
      tym[i] = ((txm[i] - tu) * rm + centred * trm) * w[i] + centred * rm * tw[i] + tb[i];  // R F3
    });
  }
}

/// Tangents of B1-B3; tdx, tdw and tdb are added to.
template <class S>
void layernorm_tbackward(MatView<S> tdx, S* tdw, S* tdb, ConstMatView<S> tdy, ConstMatView<S> dy, ConstMatView<S> tx,
                         ConstMatView<S> x, const S* tmean, const S* tr, const S* mean, const S* r, const S* w,
                         const S* tw) {
  const Index channels = x.cols();
  const S count = S(double(channels));
  for (Index m = 0; m < x.rows(); ++m) {
    const S *xm = x.data() + m * channels, *txm = tx.data() + m * channels;
    const S *dym = dy.data() + m * channels, *tdym = tdy.data() + m * channels;
    S* tdxm = tdx.data() + m * channels;
    const S u = mean[m], rm = r[m], tu = tmean[m], trm = tr[m];
    const auto h = [=](auto at) { return (at(xm) - u) * rm; };
    const auto th = [=](auto at) { return (at(txm) - tu) * rm + (at(xm) - u) * trm; };
    const auto g = [=](auto at) { return at(w) * at(dym); };
    const auto tg = [=](auto at) { return at(tw) * at(dym) + at(w) * at(tdym); };
    const S m1 = sum<S>(channels, g) / count, tm1 = sum<S>(channels, tg) / count;
    const S m2 = sum<S>(channels, [=](auto at) { return g(at) * h(at); }) / count;
    const S tm2 = sum<S>(channels, [=](auto at) { return tg(at) * h(at) + g(at) * th(at); }) / count;
    each(channels, [=](Index i) {
      const AtElement<S> at{i};
      tdxm[i] += (g(at) - m1 - h(at) * m2) * trm + (tg(at) - tm1 - th(at) * m2 - h(at) * tm2) * rm;  // R B1
      tdw[i] += tdym[i] * h(at) + dym[i] * th(at);                                                   // R B2
      tdb[i] += tdym[i];                                                                             // R B3
    });
  }
}

}  // namespace HONE_CLASS

#define HONE_NORM_KERNELS(K)         \
  K(NormKernels, rmsnorm_forward)    \
  K(NormKernels, rmsnorm_backward)   \
  K(NormKernels, rmsnorm_tforward)   \
  K(NormKernels, rmsnorm_tbackward)  \
  K(NormKernels, layernorm_forward)  \
  K(NormKernels, layernorm_backward) \
  K(NormKernels, layernorm_tforward) \
  K(NormKernels, layernorm_tbackward)
HONE_KERNEL_TABLE(NormKernels, HONE_NORM_KERNELS)

}  // namespace hone
