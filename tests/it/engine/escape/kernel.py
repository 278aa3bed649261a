"""What a kernel could leave open: sockets, system calls, namespaces, devices, process 1, and what is used up."""

AF = {
    "UNIX": 1, "INET": 2, "AX25": 3, "IPX": 4, "APPLETALK": 5, "NETROM": 6, "BRIDGE": 7, "ATMPVC": 8, "X25": 9, "INET6": 10,
    "ROSE": 11, "DECNET": 12, "KEY": 15, "NETLINK": 16, "PACKET": 17, "ASH": 18, "ECONET": 19, "ATMSVC": 20, "RDS": 21,
    "SNA": 22, "IRDA": 23, "PPPOX": 24, "WANPIPE": 25, "LLC": 26, "IB": 27, "MPLS": 28, "CAN": 29, "TIPC": 30,
    "BLUETOOTH": 31, "IUCV": 32, "RXRPC": 33, "ISDN": 34, "PHONET": 35, "IEEE802154": 36, "CAIF": 37, "ALG": 38, "NFC": 39,
    "VSOCK": 40, "KCM": 41, "QIPCRTR": 42, "SMC": 43, "XDP": 44, "MCTP": 45,
}
OPEN_FAMILIES = {"UNIX", "INET", "INET6", "NETLINK"}
KINDS = {"stream": 1, "datagram": 2, "raw": 3, "seqpacket": 5}
# x86-64's numbers.
SOCKET, SOCKETPAIR = 41, 53


def native(call, number, family, kind):
    return syscall(number, family, kind, 0, *([ctypes.create_string_buffer(8)] if number == SOCKETPAIR else []))


def machine_code(code):
    """Runs it as a function; its result is the kernel's."""
    # Below 4 GiB, since a 32-bit call has no room for more.
    page = LIBC.mmap
    page.restype = ctypes.c_void_p
    page.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    map_32bit = 0x40
    at = page(None, 4096, 7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | map_32bit, -1, 0)
    ctypes.memmove(at, code(at + 2048), len(code(at + 2048)))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(at)()
    if result < 0:
        raise OSError(-result, "")
    return result


def int80(number, ebx, ecx, edx, data=b""):
    """A 32-bit call from a 64-bit process; `data` lies where ecx points if ecx is None."""

    def code(free):
        if data:
            ctypes.memmove(free, data, len(data))
        count = free if ecx is None else ecx
        head = b"\x53\xb8" + struct.pack("<I", number) + b"\xbb" + struct.pack("<I", ebx)
        return head + b"\xb9" + struct.pack("<I", count) + b"\xba" + struct.pack("<I", edx) + b"\xcd\x80\x5b\xc3"

    return machine_code(code)


def socketcall(family, kind):
    return int80(102, 1, None, 0, struct.pack("<III", family, kind, 0))


def families():
    ways = {
        "socket()": lambda family, kind: native("socket", SOCKET, family, kind),
        "socketpair()": lambda family, kind: native("socketpair", SOCKETPAIR, family, kind),
    }
    for way, make in ways.items():
        made = {
            name: [kind for kind, number in KINDS.items() if apart(lambda: f"made {make(family, number)}").startswith("made")]
            for name, family in AF.items()
        }
        made = {name: kinds for name, kinds in made.items() if kinds}
        report(f"a socket of each of {len(AF)} families by {way}", "unix, IPv4, IPv6, netlink", ", ".join(made), set(made) <= OPEN_FAMILIES)
    high = apart(lambda: syscall(SOCKET, (1 << 32) + 40, 1, 0))
    report("a family above 32 bits", "refused", high, high in REFUSED | {"EAFNOSUPPORT", "EINVAL"})
    for protocol in (2, 4, 6, 9, 10, 12, 15, 16, 21):
        refused(f"netlink of protocol {protocol}", lambda: socket.socket(16, 3, protocol), also=("EPROTONOSUPPORT", "EAFNOSUPPORT"))
    for attack, attempt in {
        "a socket by a 32-bit call (int 0x80, socket)": lambda: int80(359, 40, 1, 0),
        "a socket by a 32-bit call (int 0x80, socketcall)": lambda: socketcall(40, 1),
        "a unix socket by a 32-bit call": lambda: socketcall(1, 1),
        "any 32-bit call (getpid)": lambda: int80(20, 0, 0, 0),
        "a socket by an x32 call": lambda: syscall(0x40000000 | SOCKET, 40, 1, 0),
        "any x32 call (getpid)": lambda: syscall(0x40000000 | 39),
    }.items():
        refused(attack, attempt, also=("SIGSEGV",))
    for kind in ("raw IPv4", "packet"):
        family, number = (2, 3) if kind == "raw IPv4" else (17, 3)
        refused(f"a {kind} socket", lambda: socket.socket(family, number, 1), also=("EAFNOSUPPORT",))


def system_calls():
    pid = os.getpid()
    buffer = ctypes.create_string_buffer(4096)
    one = struct.pack("<I", 1)
    attr = ctypes.create_string_buffer(struct.pack("<IIIII", 1, 4, 4, 1, 0), 128)
    calls = {
        "io_uring_setup": (425, 4, buffer),
        "bpf (a map)": (321, 0, attr, 72),
        "perf_event_open": (298, ctypes.create_string_buffer(struct.pack("<IIQ", 1, 112, 0), 112), 0, -1, -1, 0),
        "userfaultfd": (323, 1),
        "keyctl (the session's keyring)": (250, 0, -3, 0),
        "add_key": (248, b"user\0", b"k\0", b"v\0", 1, -3),
        "request_key": (249, b"user\0", b"k\0", 0, -3),
        "memfd_secret": (447, 0),
        "modify_ldt": (154, 0, buffer, 64),
        "kcmp with process 1": (312, pid, 1, 0, 0, 0),
        "process_vm_readv of process 1": (310, 1, buffer, 1, buffer, 1, 0),
        "process_vm_writev of process 1": (311, 1, buffer, 1, buffer, 1, 0),
        "ptrace of process 1": (101, 0x4206, 1, 0, 0),
        "open_by_handle_at": (304, -100, buffer, 0),
        "vmsplice": (278, 1, buffer, 0, 0),
        "mq_open": (240, b"/q\0", 0o102, 0o600, 0),
        "msgget": (68, 0, 0o1600),
        "semget": (64, 0, 1, 0o1600),
        "sched_setattr": (314, 0, buffer, 0),
        "personality (READ_IMPLIES_EXEC)": (135, 0x0400000),
        "personality (32-bit)": (135, 8),
        "mount": (165, b"none\0", b"/mnt\0", b"tmpfs\0", 0, 0),
        "umount2": (166, b"/proc\0", 2),
        "pivot_root": (155, b"/tmp\0", b"/tmp\0"),
        "chroot": (161, b"/tmp\0"),
        "fsopen": (430, b"tmpfs\0", 0),
        "open_tree": (428, -100, b"/\0", 1),
        "move_mount": (429, -100, b"/tmp\0", -100, b"/mnt\0", 0),
        "mount_setattr": (442, -100, b"/\0", 0, buffer, 32),
        "swapon": (167, b"/tmp/x\0", 0),
        "reboot": (169, 0xFEE1DEAD, 672274793, 0, 0),
        "kexec_load": (246, 0, 0, 0, 0),
        "kexec_file_load": (320, 0, 0, 0, b"\0", 0),
        "init_module": (175, buffer, 16, b"\0"),
        "finit_module": (313, 0, b"\0", 0),
        "delete_module": (176, b"x\0", 0),
        "iopl": (172, 3),
        "ioperm": (173, 0, 8, 1),
        "settimeofday": (164, buffer, 0),
        "clock_settime": (227, 0, buffer),
        "sethostname": (170, b"x", 1),
        "setdomainname": (171, b"x", 1),
        "syslog (reading the kernel's log)": (103, 3, buffer, 4096),
        "acct": (163, b"/tmp/x\0"),
        "quotactl": (179, 0, b"/\0", 0, 0),
        "fanotify_init": (300, 0, 0),
        "lookup_dcookie": (212, 0, buffer, 8),
        "setns of process 1's descriptor": (308, 0, 0),
        "setuid 0": (105, 0),
        "setgroups": (116, 1, one),
        "mknod of a disk": (133, b"/tmp/disk\0", 0o60600, 0xFE00),
        "move_pages of process 1": (279, 1, 1, buffer, 0, buffer, 0),
        "migrate_pages of process 1": (256, 1, 1, buffer, buffer),
    }
    flags = {"time": 0x80, "mount": 0x20000, "cgroup": 0x2000000, "UTS": 0x4000000, "IPC": 0x8000000, "user": 0x10000000, "PID": 0x20000000, "network": 0x40000000}
    calls.update({f"unshare of the {name} namespace": (272, flag) for name, flag in flags.items()})
    calls.update({f"clone into a new {name} namespace": (56, flag | signal.SIGCHLD, 0, 0, 0, 0) for name, flag in flags.items() if flag > 0xFF})
    arguments = ctypes.create_string_buffer(struct.pack("<QQQQQ", 0x10000000, 0, 0, 0, signal.SIGCHLD), 88)
    calls["clone3 into a new user namespace"] = (435, arguments, 88)

    def attempt(call):
        got = syscall(*call)
        if got == 0 and call[0] in (56, 435):
            os._exit(0)
        return f"done, {got}"

    for name, call in calls.items():
        refused(name, lambda: attempt(call))

    def taken():
        target = syscall(434, 1, 0)
        return f"descriptor {syscall(438, target, 0, 0)}"

    refused("pidfd_getfd of process 1", taken)


def files():
    status = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
    capabilities = {name: status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    report("capabilities, bounding set included", "none", ", ".join(sorted(set(capabilities.values()))), all(int(value, 16) == 0 for value in capabilities.values()))
    locked = (status["NoNewPrivs"], status["Seccomp"])
    report("new privileges; the system call filter", "1; 2", "; ".join(locked), locked == ("1", "2"))
    links = sorted(os.readlink(f"/proc/self/ns/{name}") == os.readlink(f"/proc/1/ns/{name}") for name in ("net", "pid", "mnt")) if os.access("/proc/1/ns/net", os.R_OK) else "unreadable"
    report("another namespace than process 1's", "none", links, links == "unreadable" or all(links))
    report("interfaces of the network", "lo", ", ".join(name for _, name in socket.if_nameindex()), [name for _, name in socket.if_nameindex()] == ["lo"])
    routes = [line.split()[0] for line in open("/proc/net/route").read().splitlines()[1:]]
    report("routes of the network", "none", ", ".join(routes) or "none", not routes)

    def write(path):
        with open(path, "r+b", buffering=0) as file:
            return f"written, {file.write(b'0')}"

    for path in (
        "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/panic_on_oom",
        "/proc/sys/fs/binfmt_misc/register", "/proc/sys/net/ipv4/ip_forward", "/proc/1/mem", "/proc/1/oom_score_adj",
        "/sys/kernel/uevent_helper", "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/cgroup.procs",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/devices/devices.allow",
        "/sys/kernel/security/apparmor/profiles", "/sys/power/state", "/etc/passwd", "/etc/hosts", "/etc/resolv.conf",
        "/etc/ld.so.preload", "/usr/bin/git",
        "/run/claude-bottle/ca-bundle.pem", "/run/claude-bottle/claude-bottle-gate",
    ):
        refused(f"writing {path}", lambda: write(path), also=("ENOENT", "EROFS", "EIO", "ETXTBSY"))
    devices = ("mem", "kmem", "port", "kmsg", "kcore", "fuse", "kvm", "net/tun", "vsock", "vhost-vsock", "vhost-net", "loop-control", "sda", "vda", "nvme0n1", "dm-0", "hpet", "cpu/0/msr", "uinput", "userfaultfd", "mapper/control")
    there = [name for name in devices if os.path.exists(f"/dev/{name}")]
    report(f"{len(devices)} devices of the machine", "none", ", ".join(there) or "none", not there)
    for path in ("/proc/kcore", "/proc/kmsg", "/proc/1/environ", "/proc/1/root/etc", "/proc/1/cwd", "/proc/1/fd", "/proc/1/maps", "/etc/shadow", "/root", "/proc/keys", "/proc/timer_list", "/sys/firmware/acpi"):

        def read():
            if os.path.isdir(path):
                return f"{len(os.listdir(path))} entries"
            with open(path, "rb", buffering=0) as file:
                return f"{len(file.read(4096))} bytes"

        seen = apart(read)
        report(f"reading {path}", "refused or empty", seen, seen in REFUSED | {"ENOENT", "0 bytes", "0 entries", "EIO"})
    sockets = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/gate/ctl.sock", "/run/dbus/system_bus_socket", "/run/systemd/private")
    reached = [path for path in sockets if apart(lambda: socket.socket(socket.AF_UNIX).connect(path)) == "done"]
    report("sockets of the engine, of the machine, and the gate's control", "none", ", ".join(reached) or "none", not reached)
    abstract = [line.split()[-1] for line in open("/proc/net/unix").read().splitlines()[1:] if line.split()[-1].startswith("@")]
    report("abstract unix sockets of the machine", "none", ", ".join(abstract) or "none", not abstract)
    mounts = [line.split()[1] for line in open("/proc/mounts")]
    foreign = [place for place in mounts if place.startswith(("/host", "/mnt", "/root", "/var/lib/docker", "/home/")) and place != "/home/agent"]
    report("folders of the machine", "none", ", ".join(foreign) or "none", not foreign)
    special = []
    for folder, _, names in os.walk("/", onerror=None):
        if folder.startswith(("/proc", "/sys", "/dev")):
            continue
        for name in names:
            try:
                mode = os.lstat(os.path.join(folder, name)).st_mode
            except OSError:
                continue
            if mode & 0o170000 in (0o020000, 0o060000):
                special.append(os.path.join(folder, name))
    report("device files outside /dev", "none", ", ".join(special) or "none", not special)

    def became():
        programs = [path for path in ("/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/newgrp", "/usr/bin/chsh") if os.path.exists(path)]
        child = os.popen(f"{programs[0]} -c id </dev/null 2>&1; {programs[0]} root -c 'id -u' </dev/null 2>&1").read()
        return "root" if "uid=0" in child else "stays"

    seen = apart(became)
    report("becoming root by a setuid program", "stays", seen, seen == "stays")


def process_one():
    # What process 1 passes on to the agent's program (TERM, INT, HUP, USR1 ...) ends that, as it should.
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGSYS, signal.SIGABRT, signal.SIGBUS, signal.SIGALRM, signal.SIGPIPE, signal.SIGCHLD):
        outcome(lambda: os.kill(1, number))
    outcome(lambda: os.nice(-5))
    alive = outcome(lambda: os.kill(1, 0))
    door = apart(lambda: socket.gethostbyname("gate.bottle"))
    report("killing and stopping process 1", "it lives, and opens the door", f"{alive}; {door}", door.startswith("127.64."))
    low = apart(lambda: os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) - 1))
    report("a higher priority", "refused", low, low in REFUSED)

    def real_time():
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

    refused("real-time scheduling", real_time)


def bombs():
    def processes():
        children = []
        try:
            while len(children) < 100_000:
                child = os.fork()
                if child == 0:
                    signal.pause()
                children.append(child)
            found = "no end"
        except BlockingIOError:
            found = len(children)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        return found

    seen = apart(processes)
    report("processes without end", f"fewer than {TOLD['pids']}", seen, seen.isdigit() and 0 < int(seen) < TOLD["pids"])

    def memory():
        kept = []
        while sum(map(len, kept)) < TOLD["memory"] * 2:
            kept.append(b"x" * (64 << 20))
        return "no end"

    seen = apart(memory)
    report("memory without end", "killed alone", seen, seen in ("SIGKILL", "MemoryError: "))

    def descriptors():
        kept = []
        try:
            while len(kept) < 5_000_000:
                kept.append(os.dup(1))
        except OSError as error:
            return name_of(error)
        return "no end"

    seen = apart(descriptors)
    report("descriptors without end", "EMFILE", seen, seen in ("EMFILE", "ENFILE"))

    def swap_and_core():
        import resource

        return resource.getrlimit(resource.RLIMIT_CORE)[1]

    seen = apart(swap_and_core)
    report("core files for the machine's handler", "0", seen, seen == "0")

    def root_disk():
        places = [place for place in ("/", "/usr", "/etc", "/var", "/opt", "/srv", "/run", "/root") if os.access(place, os.W_OK)]
        return ", ".join(places) or "none"

    seen = apart(root_disk)
    report("folders of the image that can be filled", "none", seen, seen == "none")
    small = {}
    for place in ("/dev/shm", "/dev/mqueue", "/proc/keys", "/dev"):
        if os.access(place, os.W_OK) and os.path.isdir(place):
            seen = os.statvfs(place)
            small[place] = seen.f_blocks * seen.f_frsize >> 20
    report("memory of the machine by files in memory", "64 MiB and less each", small, all(size <= 64 for size in small.values()))


families()
system_calls()
files()
process_one()
if TOLD.get("bombs"):
    bombs()
