// Opens the data of a run: corpora (from the cache, or through fetch_corpus), synthetic sources, vector tasks.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "experiments/study/study.hpp"
#include "sim/data/batch.hpp"
#include "sim/data/hidden_markov.hpp"
#include "sim/data/synthetic.hpp"
#include "sim/data/text_tasks.hpp"
#include "sim/data/vectors.hpp"
#include "sim/train/trainer.hpp"

namespace hone::experiments {

/// A source of examples: training batches by step, fixed held-out data, and what to record about it.
template <class Data>
struct Source {
  BatchSource<Data> batch;
  std::function<Data(Index positions, Index count)> held_out;  ///< held-out windows of any length, tokens only
  Data evaluation, curvature;                                  ///< curvature is an even subset of evaluation
  Index vocabulary = 0, inputs = 0, outputs = 0;
  std::string sha256;                 ///< of the cleaned text or table, "" for synthetic sources
  double entropy_rate_nats = 0;       ///< NaN where it is not known
  std::int64_t epochs = 0;            ///< epoch of the last training batch; 0 = nothing was repeated
  std::shared_ptr<const void> keeps;  ///< what `batch` reads from
};

/// Of the examples themselves: what a Hessian was measured on.
std::string sha256_of(const TokenBatch& batch);
std::string sha256_of(const VectorBatch& batch);

/// Every (count/wanted)-th example.
TokenBatch even_subset(const TokenBatch& all, Index wanted);
VectorBatch even_subset(const VectorBatch& all, Index wanted);
/// Examples [first, first + count).
TokenBatch slice(const TokenBatch& all, Index first, Index count);
VectorBatch slice(const VectorBatch& all, Index first, Index count);

/// The first windows of the training text.
/// expects  as many tokens per window as an evaluation window has
TokenBatch first_training_windows(const Source<TokenBatch>& source, Index count);

/// The tokens of text corpora, read once per study and shared by its runs.
class CorpusShelf {
 public:
  explicit CorpusShelf(std::filesystem::path cache) : cache_(std::move(cache)) {}
  /// errors  those of Corpus; IoError when a corpus of a package cannot be fetched
  std::shared_ptr<const TokenStream> tokens(const DataSpec& spec);
  /// The same as tokens of a checkpoint, by the tokenizer in this file.
  /// errors  those of import_tokenizer too; FormatError for a held-out file that is a Git LFS pointer or not UTF-8;
  ///         OptionError naming both when a token is at or above `vocabulary`
  std::shared_ptr<const TokenStream> tokens(const DataSpec& spec, const std::filesystem::path& tokenizer,
                                            Index vocabulary);
  const std::filesystem::path& cache() const { return cache_; }

 private:
  CorpusOptions corpus_options(const DataSpec& spec) const;

  std::filesystem::path cache_;
  std::map<std::string, std::shared_ptr<const TokenStream>> shelf_;  ///< by data and tokenizer
};

/// Opens a source of token windows or vectors for a run: its own data, or other data that it reads.
Source<TokenBatch> open_tokens(const RunSpec& run, const DataSpec& data, CorpusShelf& shelf);
Source<VectorBatch> open_vectors(const RunSpec& run, CorpusShelf& shelf);

/// The tasks that are mixed into a text.
/// errors  OptionError naming the data
std::vector<TextTask> tasks_of(const DataSpec& spec);

/// Runs fetch_corpus for a named corpus and returns the folder with its raw files.
/// errors  IoError with the script's last line
std::filesystem::path fetch_corpus(const std::string& name, const std::filesystem::path& cache);

}  // namespace hone::experiments
