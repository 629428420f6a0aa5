#!/usr/bin/env python3
"""Lines of src/ that the tests ran, from the counters that a build with --coverage left behind:
    tools/coverage.py BUILD [MINIMUM_PERCENT]
One line a room, the files with the most lines that never ran, and the total. A source file may be compiled several
times: a line counts as run when it ran in any of them. Code for a processor other than this one (AMX, say) is counted
apart, since no test can run it here. Exit status 1 below the minimum."""
import collections
import json
import os
import subprocess
import sys

FEATURES = {'src/kernel/amx': 'amx_int8', 'src/kernel/avx512': 'avx512_vnni', 'src/kernel/avx2': 'avx2'}


def counter_files(build):
    for folder, _, names in os.walk(build):
        for name in names:
            if name.endswith('.gcda'):
                yield os.path.join(folder, name)


def documents(paths):
    for start in range(0, len(paths), 64):
        text = subprocess.run(['gcov', '--json-format', '--stdout', *paths[start:start + 64]], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        yield from (json.loads(line) for line in text.splitlines() if line)


def read_lines(build, root):
    """{file: {line: whether it ran}} for the files of src/."""
    lines = collections.defaultdict(dict)
    for document in documents(sorted(counter_files(build))):
        for file in document['files']:
            name = os.path.relpath(os.path.join(document['current_working_directory'], file['file']), root)
            if not name.startswith('src/'):
                continue
            for line in file['lines']:
                number = line['line_number']
                lines[name][number] = lines[name].get(number, False) or line['count'] > 0
    return lines


def can_run(name, flags):
    return all(flag in flags for prefix, flag in FEATURES.items() if name.startswith(prefix))


def percent(run, all_lines):
    return 100.0 * run / all_lines if all_lines else 100.0


def show(title, run, all_lines):
    print(f'{title:<28} {run:6} of {all_lines:6} lines  {percent(run, all_lines):5.1f} %')


def main():
    build, minimum = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    root = os.path.realpath(os.path.join(os.path.dirname(__file__), '..'))
    with open('/proc/cpuinfo', encoding='utf-8') as cpuinfo:
        flags = set(cpuinfo.read().split())
    lines = read_lines(os.path.realpath(build), root)
    rooms, missed, elsewhere = collections.defaultdict(lambda: [0, 0]), [], 0
    for name, of_file in lines.items():
        run, all_lines = sum(of_file.values()), len(of_file)
        if not can_run(name, flags):
            elsewhere += all_lines
            continue
        room = rooms['/'.join(name.split('/')[:2])]
        room[0] += run
        room[1] += all_lines
        missed.append((all_lines - run, name, run, all_lines))
    for room in sorted(rooms):
        show(room, *rooms[room])
    print('most lines that never ran:')
    for _, name, run, all_lines in sorted(missed, reverse=True)[:12]:
        show('  ' + name, run, all_lines)
    run, all_lines = (sum(room[i] for room in rooms.values()) for i in (0, 1))
    show('all of src/', run, all_lines)
    if elsewhere:
        print(f'besides, {elsewhere} lines for processors that this one is not')
    return 0 if percent(run, all_lines) >= minimum and all_lines else 1


if __name__ == '__main__':
    sys.exit(main())
