# Turns README.md into a bash script that does what a reader would, in one shell, from the top:
#
#   ```sh                                is run, between `at LINE` and the end of redirection to $out
#   ```text right after such a block     lines that its output must hold: `holds LINE TEXT` for each
#
# A comment on the line before a block may say of it:
#
#   <!-- file: NAME -->          it is written to NAME
#   <!-- tested with: ARGS -->   its first command gets these arguments too, so as to end sooner
#   <!-- run by .ci/run -->      it is left out
#
# <!-- made by TARGET --> and <!-- end --> stand around text that a program writes.
#
# Blocks in other languages are for reading; one of no known language, or only indented, is an error,
# lest commands go unnoticed, and so is any other comment.

function quoted(text) {
  gsub(/'/, "'\\''", text)
  return "'" text "'"
}

function reject(what) {
  printf "README.md:%d: %s\n", NR, what >"/dev/stderr"
  exit 1
}

kind == "" && /^    / { reject("a block without a language") }

kind == "" && /^<!--/ {
  value = $0
  sub(/^<!-- [^:]*: /, "", value)
  sub(/ -->$/, "", value)
  if (/^<!-- file: .* -->$/) file = value
  else if (/^<!-- tested with: .* -->$/) more = " " value
  else if (/^<!-- run by .ci\/run -->$/) elsewhere = 1
  else if (/^<!-- (made by \/\/[a-z:]+|end) -->$/) next
  else reject("a comment that says nothing: " $0)
}

kind == "" && /^```/ {
  kind = substr($0, 4)
  if (kind !~ /^(sh|text|c|cmake|json|python|rust)$/) reject("a block in an unknown language: " kind)
  what = kind == "text" && last_run == NR - 1 ? "output" : "reading"
  if (kind == "sh" && !elsewhere) what = "commands"
  if (file != "") what = "file"
  if (what == "file") print "cat >" quoted(file) " <<'END_OF_README_FILE'"
  if (what == "commands") print "at " NR "\n{"
  next
}

kind != "" && /^```$/ {
  if (what == "file") print "END_OF_README_FILE"
  if (what == "commands") {
    print "} >\"$out\" 2>&1"
    last_run = NR
  }
  kind = file = more = elsewhere = ""
  next
}

kind != "" && what == "file" { print }
kind != "" && what == "commands" {
  print $0 more
  more = ""
}
kind != "" && what == "output" { print "holds " NR " " quoted($0) }
