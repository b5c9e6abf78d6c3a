// hone's side of the comparison with its peers: a process that reads one command per line and answers each with one
// line of JSON, so that the Python side can let the competitors take turns within one run. Started by compare.py:
//   hone_peers PROBLEM THREADS
//   {"do": "time", "measure": "hvp", "scalar": "f32", "calls": 10}        -> {"seconds": per call}
//   {"do": "vector", "measure": "hvp", "scalar": "f64", "file": "hv.f64"} -> {"size": P}, the numbers raw in the file
//   {"do": "losses", "scalar": "f64", "steps": 3}                         -> {"losses": [...]}
//   {"do": "spectrum", "scalar": "f32", "pairs": 5, …}                    -> {"seconds": …, "values": [...], …}
// A command that fails is answered by {"error": message}.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/peers/measures.hpp"
#include "sim/base/error.hpp"

namespace hone::experiments {
namespace {

using nlohmann::json;

template <class Work>
double seconds_of(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<double> numbers(const Vector<double>& v) { return {v.data(), v.data() + v.size()}; }
std::vector<double> numbers(const Matrix<double>& m) { return {m.data(), m.data() + m.size()}; }

class Server {
 public:
  Server(const std::string& file, int threads) : problem_(read_problem(file)), threads_(threads) {}

  json answer(const json& command) {
    const std::string what = command.at("do");
    Measures& measures = in_scalar(command.at("scalar"));
    if (what == "time") return time(measures, command);
    if (what == "vector") return write_vector(measures, command);
    if (what == "losses") return {{"losses", measures.losses(command.at("steps"))}};
    if (what == "spectrum") return spectrum(measures, command);
    throw OptionError(fmt::format("command '{}' is unknown (time, vector, losses, spectrum)", what));
  }

 private:
  Measures& in_scalar(const std::string& scalar) {
    auto& measures = measures_[scalar];
    if (!measures) measures = make_measures(problem_, scalar, threads_);
    return *measures;
  }

  static json time(Measures& measures, const json& command) {
    const Measure measure = measure_from_name(command.at("measure"));
    const int calls = command.at("calls");
    if (calls > 1) measures.run(measure);  // untimed, as on the other side: it wakes the threads
    const double seconds = seconds_of([&] {
      for (int i = 0; i < calls; ++i) measures.run(measure);
    });
    return {{"seconds", seconds / calls}};
  }

  static json write_vector(Measures& measures, const json& command) {
    const std::vector<double> values = measures.vector(measure_from_name(command.at("measure")));
    const std::string path = command.at("file");
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(values.data()), std::streamsize(values.size() * sizeof(double)));
    if (!file.flush()) throw IoError(fmt::format("{}: cannot be written; check the folder and the disk", path));
    return {{"size", values.size()}};
  }

  static json spectrum(Measures& measures, const json& command) {
    const SpectrumJob job = {.pairs = command.at("pairs"),
                             .probes = command.at("probes"),
                             .density_steps = command.at("density_steps"),
                             .tolerance = command.at("tolerance"),
                             .seed = command.at("seed")};
    SpectrumReport report;
    const double seconds = seconds_of([&] { report = measures.spectrum(job); });
    return {{"seconds", seconds},
            {"values", numbers(report.pairs.values)},
            {"residuals", numbers(report.pairs.residuals)},
            {"products", report.pairs.products + job.probes + report.density.products},
            {"trace", report.trace.mean},
            {"trace_error", report.trace.standard_error},
            {"nodes", numbers(report.density.nodes)},
            {"weights", numbers(report.density.weights)}};
  }

  PeerProblem problem_;
  int threads_;
  std::map<std::string, std::unique_ptr<Measures>> measures_;
};

void serve(Server& server) {
  for (std::string line; std::getline(std::cin, line);) {
    json reply;
    try {
      reply = server.answer(json::parse(line));
    } catch (const std::exception& e) {
      reply = {{"error", e.what()}};
    }
    std::cout << reply.dump() << std::endl;
  }
}

}  // namespace
}  // namespace hone::experiments

int main(int argc, char** argv) {
  if (argc != 3 || std::atoi(argv[2]) < 1) {
    std::cerr << "usage: hone_peers PROBLEM THREADS   (started by experiments/peers/run)\n";
    return 2;
  }
  try {
    hone::experiments::Server server(argv[1], std::atoi(argv[2]));
    hone::experiments::serve(server);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "hone_peers: " << e.what() << "\n";
    return 1;
  }
}
