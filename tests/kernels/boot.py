# SPDX-License-Identifier: Apache-2.0
"""Makes the image that a virtual machine starts from, and boots it in qemu, by emulation alone."""
import glob
import lzma
import os
import shutil
import subprocess

from machines import MACHINES

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.join(ROOT, "build/kernels")
GO = ("1.19", "1.27")
TIMEOUT_S = 480
MODULES = ("veth", "sch_netem")

ARCH = {
    "x86_64": {
        "build": "build", "suffix": "", "strip": "strip", "tools": "",
        "qemu": ["qemu-system-x86_64", "-cpu", "max"],
        "boot": "console=ttyS0 mitigations=off",
    },
    # The newest processor that qemu has is two to three times slower than this one.
    "aarch64": {
        "build": "build-arm64", "suffix": "-arm64", "strip": "aarch64-linux-gnu-strip",
        "tools": ".deps/test/tools-arm64",
        "qemu": ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57"],
        "boot": "console=ttyAMA0",
    },
}


def pack(tree, image):
    """An uncompressed cpio archive: emulation makes unpacking dearer than reading."""
    with open(image, "wb") as out:
        files = subprocess.run(["find", "."], cwd=tree, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=tree, check=True,
                       input=files, stdout=out)
    return image


def add_modules(arch, tree):
    """What the networks of network.sh need, of each kernel whose machine has one: /modules/RELEASE."""
    for kernel in {machine.kernel for machine in MACHINES
                   if machine.arch == arch and machine.network}:
        for path in glob.glob(os.path.join(ROOT, ".deps/test/linux-" + kernel,
                                           "lib/modules/*/kernel/**/*.ko*"), recursive=True):
            name, release = os.path.basename(path), path.split("/lib/modules/")[1].split("/")[0]
            if name.split(".")[0] not in MODULES:
                continue
            folder = os.path.join(tree, "modules", release)
            os.makedirs(folder, exist_ok=True)
            opener = lzma.open if name.endswith(".xz") else open
            with opener(path, "rb") as module, open(
                    os.path.join(folder, name.removesuffix(".xz")), "wb") as out:
                shutil.copyfileobj(module, out)


def build_image(arch, sonde):
    """(path of the image, folder that it was made of)."""
    how = ARCH[arch]
    tree = os.path.join(OUT, "image-" + arch)
    bins = os.path.join(tree, "bin")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(bins)
    built = os.path.join(ROOT, how["build"])
    subprocess.run(["ninja", "-C", built, "tests/kernels/inside/inside"], check=True,
                   stdout=subprocess.DEVNULL)
    names = ["tcp_pair", "http_get", *("gohttp-" + go for go in GO)]
    work = [name + how["suffix"] for name in names]
    subprocess.run([os.path.join(ROOT, "tests/work/build"), *work], check=True)
    for name, path in zip(names, work):
        shutil.copy(os.path.join(ROOT, "build/work", path), os.path.join(bins, name))
    shutil.copy(os.path.join(ROOT, how["tools"], "bin/busybox") if how["tools"] else "/bin/busybox",
                bins)
    os.symlink("busybox", os.path.join(bins, "sh"))
    for path in (sonde or os.path.join(built, "sonde"),
                 os.path.join(built, "tests/kernels/inside/inside")):
        shutil.copy(path, bins)
        subprocess.run([how["strip"], os.path.join(bins, os.path.basename(path))],
                       stderr=subprocess.DEVNULL)
    add_modules(arch, tree)
    for name in ("init", "network.sh", "test.sh"):
        shutil.copy(os.path.join(HERE, name), tree)
    os.chmod(os.path.join(tree, "init"), 0o755)
    return pack(tree, os.path.join(OUT, f"image-{arch}.cpio")), tree


def find_kernel(kernel):
    folder = os.path.join(ROOT, ".deps/test/linux-" + kernel)
    found = glob.glob(folder + "/boot/vmlinuz-*") + \
        glob.glob(folder + "/usr/lib/modules/*/vmlinuz")
    if not found:
        raise FileNotFoundError(
            f"there is no kernel {kernel} in .deps: run 'tools/packages test' first")
    return found[0]


def replaced(kernel):
    """What there is to say when Debian has no longer had the pinned version; "" as a rule."""
    with open(os.path.join(ROOT, ".deps/test/linux-" + kernel, ".stamp")) as stamp:
        return "".join(", " + line.split("\t")[2].strip() for line in stamp
                       if line.count("\t") == 2)


def with_types(machine, tree):
    """An image with /btf: init then hides the kernel's own types there."""
    folder = os.path.join(OUT, machine.name.replace(" ", "-"))
    copy = os.path.join(folder, "image")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tree, copy, symlinks=True)
    os.makedirs(os.path.join(copy, "btf"))
    image = pack(copy, os.path.join(folder, "image.cpio"))
    shutil.rmtree(copy)
    return image


def boot(machine, image, tree):
    """What the machine said on its console, and why it was stopped, or None."""
    how = ARCH[machine.arch]
    kernel = find_kernel(machine.kernel)
    if not machine.types:
        image = with_types(machine, tree)
    # One thread for both processors: with one each, qemu 7.2 sometimes goes on to run code that the
    # other processor has just replaced, and a kernel that patches itself (fentry, kprobes) crashes.
    append = f"{how['boot']} panic=-1 quiet {machine.boot} suites={','.join(machine.suites)}"
    if machine.network:
        append += f" network={','.join(machine.network)}"
    command = [*how["qemu"], "-accel", "tcg,thread=single", "-m", "512", "-smp", "2", "-kernel",
               kernel, "-initrd", image, "-append", append, "-no-reboot", "-nodefaults",
               "-display", "none", "-serial", "stdio"]
    path = os.path.join(OUT, machine.name.replace(" ", "-") + ".log")
    why = None
    with open(path, "wb") as log:
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log,
                           stderr=subprocess.STDOUT, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            why = f"stopped after {TIMEOUT_S} s"
    if not machine.types:
        os.remove(image)
    with open(path, errors="replace") as log:
        return log.read().replace("\r", ""), why
