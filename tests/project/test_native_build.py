"""setup.py builds the library of native kernels where it can, and never a stale one."""

import ctypes
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.project.files import ROOT

FOLDER = Path("bptt_keras/kernels/native")
LIBRARY = FOLDER / "bptt_native.so"
COMPILER = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
# Of the file of an instruction set: what its flags define, and what they do not.
SETS = {
    "amx": ("__AMX_BF16__", "__no_set__"),
    "avx512_bf16": ("__AVX512BF16__", "__AMX_BF16__"),
    "avx512": ("__AVX512BW__", "__AVX512BF16__"),
    "avx2": ("__FMA__", "__AVX512F__"),
    "baseline": ("__cplusplus", "__AVX2__"),
}
KERNEL = """
#include "kernels.h"
#if !defined({has}) || defined({lacks})
#error "the flags of another file"
#endif
const char* {name}() {{ return SEPARATOR "{name}"; }}
"""
# A library that says what is in it.
CALL = """
#ifdef BPTT_HAS_{upper}
text += {name}();
#endif
"""
LIBRARY_CODE = """
#include <string>
{declarations}
extern "C" __attribute__((visibility("default"))) const char* bptt_native_sets() {{
  static std::string text;
  text.clear();
  {calls}
  return text.c_str();
}}
"""
PROGRAM = """
extern "C" const char* bptt_native_sets();
int main(int count, char**) {
  int some[] = {0, 0};
#ifdef WITH_A_BUG
  count += 1;
#endif
  return bptt_native_sets()[0] == 0 || some[count];
}
"""

pytestmark = pytest.mark.skipif(
    COMPILER is None or sys.platform == "win32", reason="needs a C++ compiler"
)


@pytest.fixture
def project(tmp_path):
    """A package with the project's own build, and stubs for kernels."""
    project = tmp_path / "project"
    sources = project / FOLDER / "src"
    (sources / "tests").mkdir(parents=True)
    for name in ("LICENSE", "MANIFEST.in", "pyproject.toml", "setup.cfg", "setup.py"):
        shutil.copy(ROOT / name, project)
    (project / "README.md").touch()
    for folder in (FOLDER, *FOLDER.parents[:2]):
        (project / folder / "__init__.py").touch()
    (sources / "kernels.h").write_text('#define SEPARATOR " "\n')
    for name, (has, lacks) in SETS.items():
        code = KERNEL.format(name=name, has=has, lacks=lacks)
        (sources / f"{name}.cc").write_text(code)
    (sources / "library.cc").write_text(
        LIBRARY_CODE.format(
            declarations="".join(f"const char* {name}();\n" for name in SETS),
            calls="".join(CALL.format(name=n, upper=n.upper()) for n in SETS),
        )
    )
    (sources / "tests/program.cc").write_text(PROGRAM)
    return project


def run(project, *command, **env):
    ours = ("CC", "CXX", "CXXFLAGS", "LDFLAGS", "BPTT_KERAS_REQUIRE_NATIVE")
    env = {k: v for k, v in os.environ.items() if k not in ours} | env
    command = [sys.executable, *command]
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)


def build_in_place(project, **env):
    return run(project, "setup.py", "-q", "build_ext", "--inplace", **env)


def build(project, kind, **env):
    """The file that pip would have made."""
    program = f"import setuptools.build_meta as b; print(b.build_{kind}('dist'))"
    done = run(project, "-c", program, **env)
    assert done.returncode == 0, done.stderr
    return project / "dist" / done.stdout.splitlines()[-1]


def check_of_release(wheel, folder):
    """What the release runs where the wheel is installed."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return run(folder, str(ROOT / ".ci/native.py"), PYTHONPATH=str(folder / "site"))


def files_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def sets_in(library, folder):
    # A path that this process has loaded before would give it the file of before.
    library = shutil.copy(library, folder / f"{len(list(folder.iterdir()))}.so")
    loaded = ctypes.CDLL(library)
    loaded.bptt_native_sets.restype = ctypes.c_char_p
    return loaded.bptt_native_sets().decode().split()


def compiler_after(script, folder):
    """A compiler that runs the lines of a shell script first."""
    path = folder / "compiler"
    path.write_text(f'#!/bin/sh\n{script}\nexec {COMPILER} "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_wheel_with_the_library_is_for_a_platform_and_all_pythons(project, tmp_path):
    wheel = build(project, "wheel")
    assert wheel.stem.split("-")[2:4] == ["py3", "none"]
    assert not wheel.stem.endswith("-any")
    files = files_in(wheel)
    assert not {name for name in files if "/src/" in name}
    with zipfile.ZipFile(wheel) as archive:
        (about,) = (name for name in files if name.endswith("/WHEEL"))
        assert b"Root-Is-Purelib: false" in archive.read(about)
    checked = check_of_release(wheel, tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert str(tmp_path / "site" / LIBRARY) in checked.stdout
    assert checked.stdout.split()[-1] == "baseline"


def test_wheel_without_the_library_is_for_all_platforms(project, tmp_path):
    wheel = build(project, "wheel", CXX="/bin/false")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert LIBRARY.as_posix() not in files_in(wheel)
    checked = check_of_release(wheel, tmp_path)
    assert checked.returncode != 0
    assert "no native kernels" in checked.stderr


@pytest.mark.parametrize("variable", ["CC", "CXX"])
def test_there_is_one_warning_without_a_compiler(project, variable):
    done = build_in_place(project, **{variable: "/bin/false"})
    assert done.returncode == 0
    (warning,) = filter(None, done.stderr.splitlines())
    assert "bptt_native" in warning and "`/bin/false` compiles no C++" in warning


def test_required_library_makes_a_missing_compiler_an_error(project):
    done = build_in_place(project, CXX="/no/such", BPTT_KERAS_REQUIRE_NATIVE="1")
    assert done.returncode != 0
    assert "`/no/such` compiles no C++" in done.stderr


def test_required_library_makes_wrong_code_an_error(project):
    (project / FOLDER / "src/library.cc").write_text("wrong")
    assert build_in_place(project).returncode == 0
    done = build_in_place(project, BPTT_KERAS_REQUIRE_NATIVE="1")
    assert done.returncode != 0
    assert f"does not compile {FOLDER / 'src/library.cc'}" in done.stderr


def test_file_with_flags_unknown_to_the_compiler_is_left_out(project):
    build_in_place(project)
    known = sets_in(project / LIBRARY, project)
    script = 'case "$*" in *-mavx512f*) exit 1;; esac'
    build_in_place(project, CXX=compiler_after(script, project))
    expected = [name for name in known if name in ("avx2", "baseline")]
    assert sets_in(project / LIBRARY, project) == expected


def test_only_what_has_changed_is_compiled_again(project):
    script = 'case "$*" in */empty.cc*) ;; *" -c "*) echo "$*" >> compiled;; esac'
    compiler = compiler_after(script, project)
    log = project / "compiled"

    def compiled():
        log.write_text("")
        assert build_in_place(project, CXX=compiler).returncode == 0
        return log.read_text().count("\n")

    every = compiled()
    assert every >= 2
    assert compiled() == 0
    sources = project / FOLDER / "src"
    with (sources / "library.cc").open("a") as file:
        file.write("// changed\n")
    assert compiled() == 1
    (sources / "kernels.h").write_text('#define SEPARATOR "  "\n')
    assert compiled() == every


def test_no_earlier_library_hides_a_failing_compiler(project):
    wheel = build(project, "wheel")
    assert build_in_place(project).returncode == 0
    # A build that was interrupted leaves what it was about to pack.
    for left in (project / "build").glob("bdist.*"):
        (left / "wheel" / FOLDER).mkdir(parents=True)
        shutil.copy(project / LIBRARY, left / "wheel" / LIBRARY)
    assert LIBRARY.as_posix() in files_in(wheel)
    wheel = build(project, "wheel", CXX="/bin/false")
    assert LIBRARY.as_posix() not in files_in(wheel)
    assert build_in_place(project, CXX="/bin/false").returncode == 0
    assert not (project / LIBRARY).exists()


def test_editable_install_has_the_library_among_the_sources(project):
    build(project, "editable")
    assert "baseline" in sets_in(project / LIBRARY, project)


def test_source_distribution_has_what_builds_the_library(project, tmp_path):
    build_in_place(project)
    with tarfile.open(build(project, "sdist")) as archive:
        assert not [name for name in archive.getnames() if name.endswith((".so", ".o"))]
        archive.extractall(tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert (unpacked / FOLDER / "src/tests/program.cc").is_file()
    assert LIBRARY.as_posix() in files_in(build(unpacked, "wheel"))


def test_sanitizers_find_what_a_program_forgives(project):
    program = "int main() {}"
    flags = ["-fsanitize=address,undefined", "-x", "c++", "-", "-o", str(project / "a")]
    linked = subprocess.run([COMPILER, *flags], input=program, text=True)
    if linked.returncode:
        pytest.skip("the compiler has no sanitizers")
    assert run(project, "setup.py", "-q", "sanitize").returncode == 0
    done = run(project, "setup.py", "-q", "sanitize", CXXFLAGS="-DWITH_A_BUG")
    assert done.returncode != 0
    assert "runtime error: index 2 out of bounds" in done.stderr
