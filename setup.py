"""Builds the library of native kernels; setup.cfg says all else about the package.

Each file of C++ is compiled with flags of its own. One whose flags the compiler does
not know is left out: its instruction set is then missing from the library. Without a
compiler there is no library, and the package works without it; this is an error where
BPTT_KERAS_REQUIRE_NATIVE is 1.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL

import setuptools
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, ExecError

NAME = "bptt_keras.kernels.native.bptt_native"
LIBRARY = Path(*NAME.split(".")).with_suffix(".so")
SOURCES = LIBRARY.with_name("src")

# Neither -march=native nor -ffast-math: the library runs on any processor of its kind,
# and NaN stays NaN. GCC 12 warns of the intrinsics in its own headers; Clang does not
# know that warning.
FLAGS = shlex.split(
    "-O3 -std=c++17 -fPIC -fvisibility=hidden -fno-math-errno -fno-trapping-math"
    " -ffp-contract=fast -pthread -Wall -Wno-maybe-uninitialized"
    " -Wno-unknown-warning-option"
)
AVX512 = shlex.split(
    "-mavx512f -mavx512vl -mavx512bw -mavx512dq -mavx2 -mfma -mprefer-vector-width=512"
)
# Of the files that are compiled for one instruction set. The rest have FLAGS alone.
SET_FLAGS = {
    "amx": [*AVX512, "-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
    "avx512_bf16": [*AVX512, "-mavx512bf16"],
    "avx512": AVX512,
    "avx2": ["-mavx2", "-mfma"],
    "baseline": [],
}
# The C++ runtime inside the library, unseen from outside: TensorFlow brings another.
# Not every linker can.
OWN_RUNTIME = ["-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL"]
SANITIZED = shlex.split(
    "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined"
    " -fno-sanitize-recover=all"
)


class Compiler:
    """The C++ compiler of the environment; keeps its object files in a folder.

    An object's name holds a hash of all that went into it, so that none is ever stale.
    """

    def __init__(self, folder: Path, flags: list[str]):
        self.folder = folder
        found = self._found()
        self.name = shlex.join(found)
        self.command = [*found, *flags, *_words("CXXFLAGS")]
        if sys.platform == "darwin":
            self.command += _words("ARCHFLAGS")
        folder.mkdir(parents=True, exist_ok=True)
        # Tried each time, lest object files of before hide that it fails.
        if not self.knows([]):
            raise CompileError(f"`{self.name}` compiles no C++")
        self.version = subprocess.check_output([*found, "--version"])

    @staticmethod
    def _found() -> list[str]:
        for name in ("CXX", "CC"):
            if _words(name):
                return _words(name)
        for name in ("c++", "g++", "clang++"):
            if shutil.which(name):
                return [name]
        raise CompileError("there is no C++ compiler")

    def knows(self, flags: list[str]) -> bool:
        """Whether it compiles an empty file with some flags, and uses them all."""
        empty = self.folder / "empty.cc"
        empty.touch()
        command = [*self.command, *flags, "-Werror", "-c", str(empty)]
        return _succeeds([*command, "-o", str(empty.with_suffix(".o"))], stderr=DEVNULL)

    def objects(self, sources: list[Path]) -> list[str]:
        """Compiles what has changed, side by side; the object files of all."""
        flags = {source: SET_FLAGS.get(source.stem, []) for source in sources}
        sources = [source for source in sources if self.knows(flags[source])]
        has = [
            f"-DBPTT_HAS_{source.stem.upper()}"
            for source in sources
            if source.stem in SET_FLAGS
        ]
        if not has:
            raise CompileError(f"there are no kernels for it in {SOURCES}")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(lambda s: self._object(s, [*flags[s], *has]), sources))

    def _object(self, source: Path, flags: list[str]) -> str:
        command = [*self.command, *flags, "-I", str(SOURCES), "-c", str(source)]
        headers = (p for p in SOURCES.rglob("*") if p.suffix in (".h", ".inc"))
        content = hashlib.sha256(self.version + shlex.join(command).encode())
        for path in (source, *sorted(headers)):
            content.update(path.read_bytes())
        name = "+".join(source.relative_to(SOURCES).with_suffix("").parts)
        done = self.folder / f"{name}-{content.hexdigest()[:16]}.o"
        if not done.exists():
            for old in self.folder.glob(f"{name}-*"):
                old.unlink()
            part = done.with_suffix(".part")  # an interrupted compiler's is not done
            if not _succeeds([*command, "-o", str(part)]):
                raise CompileError(f"`{self.name}` does not compile {source}")
            part.replace(done)
        return str(done)

    def links(self, objects: list[str], output: Path, flags: list[str], **how) -> bool:
        """Makes a library or a program of object files; whether that went well."""
        command = [*self.command, *objects, *flags, *_words("LDFLAGS")]
        if sys.platform == "linux":
            command += ["-ldl"]
        if _words("CC") and not _words("CXX"):  # a C compiler links no C++ by itself
            command += ["-lc++" if sys.platform == "darwin" else "-lstdc++"]
        output.parent.mkdir(parents=True, exist_ok=True)
        return _succeeds([*command, "-o", str(output)], **how) and output.exists()


def _words(variable: str) -> list[str]:
    return shlex.split(os.environ.get(variable, ""))


def _succeeds(command: list[str], **how) -> bool:
    try:
        return subprocess.run(command, **how).returncode == 0
    except OSError:
        return False


class BuildLibrary(build_ext):
    """Builds a library that Python loads by its path; it is no module of Python's."""

    def get_ext_filename(self, fullname: str) -> str:
        return str(LIBRARY)

    def run(self) -> None:
        # If the compiler fails now, none of before takes the place of the new one.
        for folder in {self.build_lib, "." if self.inplace else self.build_lib}:
            Path(folder, LIBRARY).unlink(missing_ok=True)
        super().run()

    def build_extension(self, ext: setuptools.Extension) -> None:
        # Not `build_temp`, which pip has elsewhere each time: what is there is reused.
        compiler = Compiler(Path("build", f"native-{self.plat_name}"), FLAGS)
        objects = compiler.objects(sorted(SOURCES.glob("*.cc")))
        library = Path(self.build_lib, LIBRARY)
        if not (
            compiler.links(objects, library, ["-shared", *OWN_RUNTIME], stderr=DEVNULL)
            or compiler.links(objects, library, ["-shared"])
        ):
            raise CompileError(f"`{compiler.name}` does not link {library}")


class Sanitize(setuptools.Command):
    """Runs the tests in C++, with all kernels, under the sanitizers."""

    user_options: list[tuple[str, str, str]] = []

    def initialize_options(self) -> None: ...

    def finalize_options(self) -> None: ...

    def run(self) -> None:
        compiler = Compiler(Path("build", "sanitized"), [*FLAGS, *SANITIZED])
        sources = [*SOURCES.glob("*.cc"), *SOURCES.glob("tests/*.cc")]
        program = compiler.folder / "tests"
        if not compiler.links(compiler.objects(sorted(sources)), program, []):
            raise CompileError(f"`{compiler.name}` does not link {program}")
        if not _succeeds([str(program)]):
            raise ExecError("the tests in C++ have failed")


class Wheel(bdist_wheel):
    """One wheel a platform for all Pythons; without a library, one for everything."""

    def run(self) -> None:
        # What an interrupted build has left there would be packed.
        shutil.rmtree(self.bdist_dir, ignore_errors=True)
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        self.root_is_pure = not Path(self.bdist_dir, LIBRARY).exists()
        return "py3", "none", super().get_tag()[2]


library = setuptools.Extension(
    NAME, sources=[], optional=os.environ.get("BPTT_KERAS_REQUIRE_NATIVE") != "1"
)
setuptools.setup(
    ext_modules=[] if sys.platform == "win32" else [library],
    cmdclass={
        "bdist_wheel": Wheel,
        "build_ext": BuildLibrary,
        "sanitize": Sanitize,
    },
)
