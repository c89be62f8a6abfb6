# Turns README.md into a bash script that does what a reader would, in one shell, from the top:
#
#   ```sh                                is run, between `at LINE` and the end of redirection to $out
#   ```text right after such a block     lines that its output must hold: `holds LINE TEXT` for each
#   <!-- file: NAME --> before a block   the block is written to NAME
#   <!-- not run here: REASON --> before a block   it is left out, and `skip LINE REASON` says so
#
# Blocks in other languages are for reading; one of no known language, or only indented, is an error,
# lest commands go unnoticed.

function quoted(text) {
  gsub(/'/, "'\\''", text)
  return "'" text "'"
}

kind == "" && /^<!-- file: .* -->$/ { file = substr($0, 12, length($0) - 15) }
kind == "" && /^<!-- not run here: .* -->$/ { reason = substr($0, 20, length($0) - 23) }

function reject(what) {
  printf "README.md:%d: %s\n", NR, what >"/dev/stderr"
  exit 1
}

kind == "" && /^    / { reject("a block without a language") }

kind == "" && /^```/ {
  kind = substr($0, 4)
  if (kind !~ /^(sh|text|c|cmake|json|python)$/) reject("a block in an unknown language: " kind)
  what = kind == "text" && last_run == NR - 1 ? "output" : "reading"
  if (kind == "sh") what = reason == "" ? "commands" : "skipped"
  if (file != "") what = "file"
  if (what == "file") print "cat >" quoted(file) " <<'END_OF_README_FILE'"
  if (what == "commands") print "at " NR "\n{"
  if (what == "skipped") print "skip " NR " " quoted(reason)
  next
}

kind != "" && /^```$/ {
  if (what == "file") print "END_OF_README_FILE"
  if (what == "commands") {
    print "} >\"$out\" 2>&1"
    last_run = NR
  }
  kind = file = reason = ""
  next
}

kind != "" && (what == "file" || what == "commands") { print }
kind != "" && what == "output" { print "holds " NR " " quoted($0) }
