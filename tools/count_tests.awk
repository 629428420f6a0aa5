# Counts the tests in CTest's JUnit files and prints one line: N passed, N failed, N skipped.
# A cmocka program counts as the tests of its summary. Every other program counts as one test, and so does a program
# that died before its summary or that failed after a clean one (a leak found at exit, say).
function number_before(word) { # the 12 of "[  PASSED  ] 12 test(s)"; output of tests may stand before it on the line
    if (!match($0, "\\[  " word " *\\] [0-9]+ test\\(s\\)")) return -1
    return substr($0, RSTART + 13, RLENGTH - 13) + 0
}
/<testcase / {
    status = $0
    sub(/.* status="/, "", status)
    sub(/".*/, "", status)
    has_summary = 0
    n["PASSED"] = n["FAILED"] = n["SKIPPED"] = 0
}
/<skipped message="SKIP_/ { status = "skipped" }
/\[  (PASSED|FAILED|SKIPPED) *\] [0-9]+ test\(s\)/ {
    for (word in n) if ((found = number_before(word)) >= 0) n[word] = found
    has_summary = 1
}
/<\/testcase>/ {
    if (has_summary) {
        if (status != "run" && n["FAILED"] == 0) n["FAILED"] = 1
    } else if (status == "run") n["PASSED"] = 1
    else if (status == "skipped" || status == "disabled") n["SKIPPED"] = 1
    else n["FAILED"] = 1
    passed += n["PASSED"]
    failed += n["FAILED"]
    skipped += n["SKIPPED"]
}
END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }
