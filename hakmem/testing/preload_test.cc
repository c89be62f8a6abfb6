// Programs that people use behave under LD_PRELOAD=libhakmem.so as they do without it: the same
// output, exit code 0, nothing on stderr. The dynamic linker's own record of each process proves
// that it called our malloc, and no function of libc's.

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <sstream>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

// Checks the record that LD_DEBUG=bindings made of one process.
void ExpectBoundToHakmem(const std::string& record) {
  static const char* const kFamily[] = {
      "malloc",         "free",     "calloc", "realloc", "reallocarray",    "aligned_alloc",
      "posix_memalign", "memalign", "valloc", "pvalloc", "__libc_memalign", "malloc_usable_size"};
  std::istringstream lines(record);
  bool is_bound = false;
  for (std::string line; std::getline(lines, line);) {
    // "PID: binding file A [0] to B [0]: normal symbol `malloc' [GLIBC_2.2.5]"
    size_t to = line.find("] to ");
    size_t symbol = line.find("symbol `");
    if (to == std::string::npos || symbol == std::string::npos) continue;
    symbol += strlen("symbol `");
    std::string name = line.substr(symbol, line.find('\'', symbol) - symbol);
    // (A program that takes malloc's address may be bound to a stub of its own, which calls ours.)
    bool is_libc = line.find("libc.so.6 [", to) != std::string::npos;
    is_bound |= name == "malloc" && line.find("libhakmem.so [", to) != std::string::npos;
    for (const char* function : kFamily) EXPECT_FALSE(is_libc && name == function) << line;
  }
  EXPECT_TRUE(is_bound) << record.substr(0, 200);
}

// Runs a shell script in a directory of its own, once as it is and once preloaded.
void ExpectSameUnderHakmem(const std::string& script) {
  Outcome outcomes[2];
  for (int preload = 0; preload < 2; preload++) {
    RunOptions options;
    options.directory = ScratchDirectory("run");
    std::string records = ScratchDirectory("records");
    options.environment = {{"HOME", options.directory}, {"LC_ALL", "C"}};
    if (preload == 1) {
      options.preload = Library();
      options.environment["LD_DEBUG"] = "bindings";
      options.environment["LD_DEBUG_OUTPUT"] = records + "/process";
    }
    Outcome& outcome = outcomes[preload];
    outcome = RunProgram({"/bin/sh", "-e", "-c", script}, options);
    ASSERT_TRUE(outcome.Succeeded()) << outcome;
    EXPECT_EQ(outcome.err, "");
    EXPECT_NE(outcome.out, "");
    int n_records = 0;
    for (const auto& entry : std::filesystem::directory_iterator(records)) {
      ExpectBoundToHakmem(ReadFile(entry.path()));
      n_records++;
    }
    EXPECT_EQ(n_records > 0, preload == 1);
  }
  EXPECT_EQ(outcomes[0].out, outcomes[1].out);
}

TEST(PreloadTest, Python) {
  ExpectSameUnderHakmem(R"(cat > churn.py <<'END'
import collections, json, threading, zlib

class Node:
    def __init__(self, i, after):
        self.text, self.after, self.more = "node %d" % i, after, {i: [i] * (i % 50)}

total = 0
for turn in range(10):
    nodes, after = collections.deque(), None
    for i in range(40000):
        after = Node(i, after if i % 100 else None)
        nodes.append(after)
        if i % 3 == 0:
            nodes.popleft()
    total += sum(len(node.text) + len(node.more) for node in nodes)

buffers = [bytearray(i % 4096) for i in range(100000)]
total += sum(len(buffer) for buffer in buffers)

sums = {}
def work(name):
    text = json.dumps([{"key%d" % i: "x" * (i % 300)} for i in range(5000)])
    sums[name] = zlib.crc32(json.dumps(json.loads(text)).encode())
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(total, sorted(sums.items()))
END
/usr/bin/python3 churn.py)");
}

TEST(PreloadTest, Git) {
  ExpectSameUnderHakmem(R"(
export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
git init --quiet --initial-branch=main origin
cd origin
for commit in 1 2 3 4 5; do
  for file in 1 2 3 4 5 6 7 8; do seq $((commit * 1000)) $((commit * 2000 + file)) > f$file; done
  git add .
  git commit --quiet -m "commit $commit"
done
cd ..
git clone --quiet --no-local origin copy
cd copy
git gc --quiet --aggressive
git fsck --strict --no-progress
git log --stat --format='%H %s'
git grep -c 99 | sort)");
}

TEST(PreloadTest, CompilerAndLinker) {
  ExpectSameUnderHakmem(R"(
for i in $(seq 400); do
  echo "struct s$i { int a[$((i % 9 + 1))]; struct s$i* next; };"
  echo "static int f$i(struct s$i* s, int n) { int t = 0; while (s) {"
  echo "  for (int k = 0; k < n; k++) t += s->a[k % $((i % 9 + 1))] * $i; s = s->next; } return t; }"
  echo "int g$i(int n) { struct s$i s = {{$i}, 0}; return f$i(&s, n); }"
done > big.c
cat > main.c <<'END'
#include <stdio.h>
int g7(int), g399(int);
int main(void) { printf("%d\n", g7(20) + g399(30)); }
END
gcc -O1 -c big.c -o big.o
gcc -O1 -c main.c -o main.o
gcc big.o main.o -o program
./program
objdump -d big.o | cksum)");
}

TEST(PreloadTest, Perl) {
  ExpectSameUnderHakmem(R"(cat > churn.pl <<'END'
my (%words, @lines);
for my $i (1 .. 200000) {
  my $word = "w" . ($i * 7919 % 50021);
  $words{$word} .= chr(65 + $i % 26);
  push @lines, join(",", map { $_ x ($i % 7) } 1 .. 3) if $i % 4 == 0;
}
my $text = join("\n", @lines);
my $n = () = $text =~ /(\d)\1\1/g;
$text =~ s/(\d),/<$1>/g;
delete @words{grep { length $words{$_} < 4 } keys %words};
print scalar(keys %words), " $n ", length($text), "\n";
END
perl churn.pl)");
}

TEST(PreloadTest, Sqlite) {
  ExpectSameUnderHakmem(R"(sqlite3 base.db <<'END'
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, body BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
  INSERT INTO item SELECT i, 'name ' || (i * 7919 % 10007), zeroblob(i % 700) FROM n;
CREATE INDEX by_name ON item(name);
DELETE FROM item WHERE id % 3 = 0;
SELECT name, count(*), sum(length(body)) FROM item GROUP BY name ORDER BY 3 DESC, 1 LIMIT 20;
VACUUM;
PRAGMA integrity_check;
END)");
}

TEST(PreloadTest, Pipelines) {
  ExpectSameUnderHakmem(R"(
find /usr/include -name "*.h" -type f | sort | head -400 | xargs -n 50 cat | tr -cs a-zA-Z '\n' |
  sort --buffer-size=4M --parallel=2 | uniq -c | sort -rn | head -50
seq 200000 | sort -R --random-source=/bin/sh | sort -n | sed -n '100000p' | tee copy | awk '{ print $1 * 2 }'
tar -cf - copy | gzip | gzip -d | tar -tf -)");
}

TEST(PreloadTest, CxxProgram) { ExpectSameUnderHakmem(Runfile("hakmem/testing/cpp_program")); }

// Of a process that has just begun, what lies a megabyte past any block cannot be touched.
TEST(OverrunTest, AWriteFarPastABlockFaults) {
  RunOptions options;
  options.preload = Library();
  for (int size : {1, 16, 100, 1000, 5000, 32768, 100000, 1000000}) {
    for (int distance : {1 << 20, 2 << 20, 8 << 20}) {
      SCOPED_TRACE(std::to_string(size) + " " + std::to_string(distance));
      Outcome outcome = RunProgram({Runfile("hakmem/testing/overrun_program"), std::to_string(size),
                                    std::to_string(distance)},
                                   options);
      EXPECT_EQ(outcome.signal, SIGSEGV) << outcome;
      EXPECT_EQ(outcome.out, "");
    }
  }
}

}  // namespace
}  // namespace hakmem_testing
