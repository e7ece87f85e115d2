import subprocess
import sys
import textwrap

import pytest

PROGRAM = textwrap.dedent('''
    """Adds things."""
    from absl import flags
    from dtrn_tf import program
    from dtrn_tf.errors import UserError
    _A = flags.DEFINE_integer("a", 1, "The first number.", lower_bound=0)
    _KIND = flags.DEFINE_enum("kind", "sum", ["sum", "product"], "What to do.")
    _DRY = flags.DEFINE_bool("dry", False, "Only say so.")
    def main():
        if _A.value == 13:
            raise UserError("`a` should not be 13. Received: 13.")
        print(program.resolved_flags(without=("dry",)), end="")
    if __name__ == "__main__":
        program.run(main)
''')


@pytest.fixture
def run(tmp_path):
    return _runner(tmp_path, PROGRAM)


def _runner(tmp_path, program):
    path = tmp_path / "adder.py"
    path.write_text(program)

    def call(*arguments):
        return subprocess.run([sys.executable, str(path), *map(str, arguments)], text=True,
                              capture_output=True)
    return call


def test_resolved_flags_are_a_flagfile(run, tmp_path):
    first = run("--a=3", "--kind=product")
    assert (first.returncode, first.stdout) == (0, "--a=3\n--kind=product\n")
    (tmp_path / "f.flags").write_text("# comment\n\n" + first.stdout)
    assert run(f"--flagfile={tmp_path}/f.flags").stdout == first.stdout
    assert run(f"--flagfile={tmp_path}/f.flags", "--a=4").stdout == "--a=4\n--kind=product\n"


def test_a_program_may_take_files_and_have_exit_codes_of_its_own(tmp_path):
    program = PROGRAM.replace("def main():", "def main(files):\n    print(files)").replace(
        "program.run(main)", "program.run(main, files=True, error_code=2)")
    program = program.replace('print(program.resolved_flags(without=("dry",)), end="")', "return 1")
    run = _runner(tmp_path, program)
    done = run("x", "--a=3", "y")
    assert (done.returncode, done.stdout) == (1, "['x', 'y']\n")
    assert run("--a=13").returncode == run("--b=1").returncode == 2


def test_a_user_error_is_one_line_and_an_exit_code(run):
    done = run("--a=13")
    assert (done.returncode, done.stderr) == (1, "error: `a` should not be 13. Received: 13.\n")


@pytest.mark.parametrize("arguments, text", [
    (["--b=1"], "Unknown command line flag 'b'"),
    (["--a=-1"], "flag --a=-1: -1 is not a non-negative integer"),
    (["--kind=mean"], "flag --kind=mean: value should be one of <sum|product>"),
    (["a=3"], "arguments should all be flags (--name=value). Received: ['a=3']"),
    (["--flagfile=/none.flags"], "--flagfile: /none.flags should be a readable file"),
])
def test_bad_flags(run, arguments, text):
    done = run(*arguments)
    assert done.returncode == 1 and done.stderr.startswith("error: ")
    assert text in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("content, text", [
    ("--a=1\na=3\n", "f.flags:2: a line should be `--flag=value` or `# comment`. Received: 'a=3'"),
    ("--a=1 # one\n", "f.flags:1: a comment should stand on a line of its own"),
])
def test_lines_of_a_flagfile_that_absl_would_misread(run, tmp_path, content, text):
    (tmp_path / "f.flags").write_text(content)
    done = run(f"--flagfile={tmp_path}/f.flags")
    assert done.returncode == 1 and text in done.stderr


def test_help_is_short_and_says_what_newcomers_need(run):
    done = run("--help")
    assert done.returncode == 0
    for text in ("Adds things.", "What and where:", "--a=INT", "The first number.",
                 "--kind=sum|product", "(default: sum)", "--[no]dry", "--flagfile=FILE"):
        assert text in done.stdout
    assert "showprefixforinfo" not in done.stdout  # absl's own flags would bury ours


def test_programs_do_not_run_on_keras_2(run, monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    done = run("--a=3")
    assert done.returncode == 1
    assert done.stderr.startswith("error: TF_USE_LEGACY_KERAS should not be set: the programs run "
                                  "on Keras 3")
