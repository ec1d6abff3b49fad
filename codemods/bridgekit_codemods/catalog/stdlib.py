"""The standard library's blocking calls and the return types that resolution needs."""

from __future__ import annotations

from bridgekit_codemods.catalog.effect import Library, each, members

_FILE_METHODS = "read readline readlines write writelines flush truncate seek close __iter__"
_FILES = ("io.TextIOWrapper", "io.BufferedIOBase")
_PATH_IO = (
    "read_text read_bytes write_text write_bytes exists is_file is_dir stat lstat mkdir rmdir "
    "unlink rename replace touch glob rglob iterdir resolve chmod symlink_to hardlink_to samefile "
    "is_symlink owner group"
)
_CONTAINERS = ("list", "set", "frozenset", "tuple", "dict")

FILES = Library(
    aliases={"pathlib.PosixPath": "pathlib.Path", "pathlib._local.Path": "pathlib.Path"},
    returns={
        "builtins.open": "io.TextIOWrapper",
        "io.open": "io.TextIOWrapper",
        "os.fdopen": "io.TextIOWrapper",
        "pathlib.Path.open": "io.TextIOWrapper",
        "tempfile.NamedTemporaryFile": "io.TextIOWrapper",
        "tempfile.TemporaryFile": "io.TextIOWrapper",
        "tempfile.TemporaryDirectory": "contextlib.ContextManager[str]",
        "io.TextIOWrapper.__enter__": "Self",
        "io.TextIOWrapper.__iter__": "generator[str]",
        "io.BufferedIOBase.__enter__": "Self",
        "io.BufferedIOBase.__iter__": "generator[bytes]",
        **each("io.BufferedIOBase", "read readline", "bytes"),
        "io.TextIOWrapper.read": "str",
        "io.TextIOWrapper.readline": "str",
        "io.TextIOWrapper.readlines": "list[str]",
        **each(
            "pathlib.Path",
            "resolve absolute with_suffix with_name with_stem joinpath expanduser relative_to "
            "rename replace cwd home",
            "pathlib.Path",
        ),
        **each("pathlib.Path", "glob rglob iterdir", "generator[pathlib.Path]"),
        "pathlib.Path.read_text": "str",
        "pathlib.Path.read_bytes": "bytes",
        **each("pathlib.Path", "exists is_file is_dir is_absolute", "bool"),
        **each("os.path", "join dirname basename abspath realpath expanduser", "str"),
        **each("os.path", "exists isfile isdir", "bool"),
        "os.listdir": "list[str]",
        "os.getenv": "str|None",
        "os.environ.get": "str|None",
        "shutil.which": "str|None",
        "csv.writer": "csv.Writer",
        "csv.DictWriter": "csv.DictWriter",
        "io.StringIO": "io.StringIO",
        "io.BytesIO": "io.BytesIO",
        "io.StringIO.getvalue": "str",
        "io.BytesIO.getvalue": "bytes",
        "json.dumps": "str",
        "builtins.input": "str",
    },
    attributes={
        "pathlib.Path.parent": "pathlib.Path",
        **each("pathlib.Path", "name stem suffix", "str"),
    },
    blocks={
        "file": (
            "builtins.open", "io.open", "os.fdopen", "codecs.open", "gzip.open", "bz2.open",
            "lzma.open", "zipfile.ZipFile", "tarfile.open", "zipfile.ZipFile.write",
            "zipfile.ZipFile.extractall", "tarfile.TarFile.extractall", "tarfile.TarFile.add",
            *(m for f in _FILES for m in members(f, _FILE_METHODS)),
            "pathlib.Path.open",
            *members("pathlib.Path", _PATH_IO),
            *members(
                "os",
                "remove unlink rename renames replace mkdir makedirs rmdir removedirs listdir "
                "scandir walk stat lstat open read write close fsync fdatasync truncate link "
                "symlink readlink chmod chown utime access sendfile",
            ),
            *members("os.path", "exists isfile isdir getsize getmtime getctime samefile islink"),
            *members(
                "shutil",
                "copy copy2 copyfile copyfileobj copytree copymode copystat move rmtree "
                "make_archive unpack_archive disk_usage which",
            ),
            *members("tempfile", "NamedTemporaryFile TemporaryFile TemporaryDirectory"),
            *members("tempfile", "mkstemp mkdtemp SpooledTemporaryFile"),
            *members("glob", "glob iglob"),
            "json.load", "json.dump", "pickle.load", "pickle.dump", "tomllib.load",
            "fileinput.input", "linecache.getline",
        ),
        "input": ("builtins.input", "getpass.getpass", "sys.stdin.read", "sys.stdin.readline"),
    },
    notes={
        "json.load": "reads the file it is given",
        "json.dump": "writes the file it is given",
        "pathlib.Path.resolve": "asks the file system",
    },
)  # fmt: skip

PROCESSES = Library(
    returns={
        "subprocess.run": "subprocess.CompletedProcess",
        "subprocess.check_output": "str|bytes",
        **each("subprocess", "call check_call", "int"),
        "subprocess.Popen.__enter__": "Self",
        "anyio.run_process": "coroutine[subprocess.CompletedProcess]",
    },
    blocks={
        "subprocess": (
            *members("subprocess", "run call check_call check_output getoutput getstatusoutput"),
            *members("subprocess.Popen", "communicate wait __exit__"),
            "subprocess.Popen",
            *members("os", "system popen waitpid wait spawnl spawnv"),
        )
    },
    notes={"subprocess.Popen": "starting a process takes milliseconds"},
)

TIME_AND_THREADS = Library(
    aliases={
        "concurrent.futures.thread": "concurrent.futures",
        "concurrent.futures.process": "concurrent.futures",
        "concurrent.futures._base": "concurrent.futures",
        "multiprocessing.pool.ThreadPool": "multiprocessing.Pool",
        "asyncio.threads.to_thread": "asyncio.to_thread",
    },
    bases={
        "concurrent.futures.ThreadPoolExecutor": ("concurrent.futures.Executor",),
        "concurrent.futures.ProcessPoolExecutor": ("concurrent.futures.Executor",),
        "threading.Timer": ("threading.Thread",),
        "queue.LifoQueue": ("queue.Queue",),
        "queue.PriorityQueue": ("queue.Queue",),
        "queue.SimpleQueue": ("queue.Queue",),
        "threading.BoundedSemaphore": ("threading.Semaphore",),
    },
    returns={
        **each("time", "time monotonic perf_counter process_time", "float"),
        "time.sleep": "None",
        "threading.Thread": "threading.Thread",
        **each("threading.Thread", "start join", "None"),
        "concurrent.futures.Executor.submit": "concurrent.futures.Future[C0]",
        "concurrent.futures.Executor.map": "generator[C0]",
        "concurrent.futures.Executor.__enter__": "Self",
        "concurrent.futures.Future.result": "T",
        "concurrent.futures.as_completed": "generator[I0]",
        "threading.Lock.__enter__": "bool",
        "threading.RLock.__enter__": "bool",
        "threading.current_thread": "threading.Thread",
        "queue.Queue": "queue.Queue",
        "asyncio.run": "R0",
        "asyncio.gather": "coroutine[list[Unknown]]",
        "asyncio.create_task": "asyncio.Task[R0]",
        "asyncio.sleep": "coroutine[None]",
        "anyio.sleep": "coroutine[None]",
        "anyio.run": "W0",
        "asyncio.to_thread": "coroutine[C0]",
        "asyncio.wait_for": "coroutine[R0]",
        "anyio.to_thread.run_sync": "coroutine[C0]",
        "anyio.from_thread.run": "W0",
        "anyio.open_file": "coroutine[anyio.AsyncFile]",
        "anyio.AsyncFile.__aenter__": "Self",
        "anyio.AsyncFile.__aiter__": "async_generator[str]",
        **each("anyio.AsyncFile", "read readline", "coroutine[str]"),
        **each("anyio.Path", "read_text", "coroutine[str]"),
        **each("anyio.Path", "read_bytes", "coroutine[bytes]"),
        **each("anyio.Path", "exists is_file is_dir", "coroutine[bool]"),
    },
    blocks={
        "sleep": ("time.sleep",),
        "lock": (
            *(
                m
                for c in ("Lock", "RLock", "Condition", "Semaphore")
                for m in members(f"threading.{c}", "acquire __enter__")
            ),
            *members("threading.Condition", "wait wait_for"),
            *members("threading.Event", "wait"),
            *members("threading.Barrier", "wait"),
            *members("multiprocessing.Lock", "acquire __enter__"),
        ),
        "thread": (
            "threading.Thread.join",
            "concurrent.futures.Future.result",
            "concurrent.futures.Future.exception",
            "concurrent.futures.wait",
            "concurrent.futures.as_completed",
            "concurrent.futures.Executor.map",
            "concurrent.futures.Executor.shutdown",
            "concurrent.futures.Executor.__exit__",
            *members("queue.Queue", "get put join"),
            *members("multiprocessing.Queue", "get put"),
            *members("multiprocessing.Process", "join"),
            *members("multiprocessing.Pool", "map starmap apply join"),
            "asyncio.run",
            "anyio.run",
            "signal.pause",
            "signal.sigwait",
        ),
    },
    notes={
        "concurrent.futures.Executor.__exit__": "waits for all submitted work",
        "concurrent.futures.Executor.map": "iterating over the result waits",
    },
    hooks={
        "threading.Thread": ("run", "start", "join"),
        "multiprocessing.Process": ("run", "start", "join"),
        "concurrent.futures.Executor": ("submit", "map", "shutdown"),
        "threading.local": (),
        "queue.Queue": ("get", "put", "join", "qsize", "empty"),
    },
)

NETWORK = Library(
    returns={
        "urllib.request.urlopen": "http.client.HTTPResponse",
        "http.client.HTTPResponse.__enter__": "Self",
        "http.client.HTTPResponse.read": "bytes",
        "http.client.HTTPConnection.getresponse": "http.client.HTTPResponse",
        "socket.create_connection": "socket.socket",
        "smtplib.SMTP.__enter__": "Self",
        "smtplib.SMTP_SSL.__enter__": "Self",
        "urllib3.PoolManager.request": "urllib3.HTTPResponse",
    },
    bases={"smtplib.SMTP_SSL": ("smtplib.SMTP",), "imaplib.IMAP4_SSL": ("imaplib.IMAP4",)},
    blocks={
        "http": (
            "urllib.request.urlopen", "urllib.request.urlretrieve",
            "urllib.request.OpenerDirector.open",
            *members("http.client.HTTPConnection", "request getresponse connect"),
            *members("http.client.HTTPSConnection", "request getresponse connect"),
            "http.client.HTTPResponse.read",
            "urllib3.request",
            *members("urllib3.PoolManager", "request urlopen"),
        ),
        "socket": (
            "socket.create_connection", "socket.getaddrinfo", "socket.gethostbyname",
            *members("socket.socket", "connect accept recv recvfrom send sendall sendto"),
            "select.select",
            *members("ftplib.FTP", "connect login retrbinary storbinary quit"),
        ),
        "mail": (
            "smtplib.SMTP", "smtplib.SMTP_SSL",
            *members("smtplib.SMTP", "sendmail send_message connect login starttls quit __exit__"),
            *members("imaplib.IMAP4", "login select search fetch logout"),
        ),
    },
    hooks={
        "http.server.BaseHTTPRequestHandler": (
            *["do_GET", "do_POST", "do_PUT", "do_DELETE", "do_PATCH", "do_HEAD", "do_OPTIONS"],
            *["log_message", "handle", "setup", "finish", "send_error"],
        ),
        "socketserver.BaseRequestHandler": ("handle", "setup", "finish"),
    },
)  # fmt: skip

BUILTINS = Library(
    returns={
        **{
            f"builtins.{c}": f"{c}[I0]" for c in ("list", "set", "frozenset", "tuple")
        },
        "builtins.dict": "dict",
        **each("builtins", "sorted", "list[I0]"),
        **each("builtins", "reversed iter", "generator[I0]"),
        "builtins.next": "I0",
        "builtins.enumerate": "generator[tuple[int, I0]]",
        "builtins.zip": "generator[tuple[I0, I1]]",
        "builtins.map": "generator[C0]",
        "builtins.filter": "generator[I1]",
        **each("builtins", "max min", "I0"),
        **each("builtins", "len int sum round abs ord hash id", "int"),
        **each("builtins", "str repr format chr ascii hex bin input", "str"),
        **each("builtins", "bool isinstance issubclass hasattr callable any all", "bool"),
        "builtins.float": "float",
        "builtins.bytes": "bytes",
        "builtins.range": "range",
        "builtins.print": "None",
        **each("builtins.dict", "get", "T2|None"),
        **each("builtins.dict", "pop setdefault", "T2"),
        "builtins.dict.values": "generator[T2]",
        "builtins.dict.keys": "generator[T]",
        "builtins.dict.items": "generator[tuple[T, T2]]",
        "builtins.dict.copy": "Self",
        **each("builtins.list", "pop", "T"),
        **each("builtins.list", "copy", "Self"),
        **each("builtins.list", "append extend insert remove sort reverse clear", "None"),
        **each("builtins.set", "pop", "T"),
        **each("builtins.set", "copy union intersection difference", "Self"),
        **each(
            "builtins.str",
            "strip lstrip rstrip lower upper title capitalize replace format join zfill ljust "
            "rjust center removeprefix removesuffix swapcase casefold expandtabs translate",
            "str",
        ),
        **each("builtins.str", "split rsplit splitlines", "list[str]"),
        **each("builtins.str", "partition rpartition", "tuple[str, str, str]"),
        "builtins.str.encode": "bytes",
        "builtins.bytes.decode": "str",
        **each("builtins.str", "startswith endswith isdigit isalpha isalnum", "bool"),
        **each("builtins.generator", "__next__ send", "T"),
        **each("copy", "copy deepcopy", "E0"),
        "functools.partial": "functools.partial[E0]",
        "functools.wraps": "Unknown",
        "itertools.chain": "generator[I0]",
        "itertools.islice": "generator[I0]",
        "itertools.chain.from_iterable": "generator[Unknown]",
        "typing.cast": "A0",
        "collections.deque": "collections.deque[I0]",
        "collections.defaultdict": "dict",
        "collections.OrderedDict": "dict",
        "collections.Counter": "collections.Counter",
        **each("datetime.datetime", "now utcnow fromisoformat strptime", "datetime.datetime"),
        **each("datetime.datetime", "fromtimestamp combine replace astimezone",
               "datetime.datetime"),
        **each("datetime.datetime", "isoformat strftime", "str"),
        "datetime.date.today": "datetime.date",
        "logging.getLogger": "logging.Logger",
        "contextlib.closing": "contextlib.ContextManager[E0]",
        "contextlib.nullcontext": "contextlib.ContextManager[E0]",
        "contextlib.ExitStack.enter_context": "Unknown",
        "contextlib.suppress": "contextlib.ContextManager[None]",
        "pytest.raises": "contextlib.ContextManager[pytest.ExceptionInfo]",
        "re.compile": "re.Pattern",
        **each("re", "match search fullmatch", "re.Match|None"),
        **each("re.Pattern", "match search fullmatch", "re.Match|None"),
        "re.sub": "str",
        "uuid.uuid4": "uuid.UUID",
    },
    hooks={
        "json.JSONEncoder": ("default", "encode", "iterencode"),
        "logging.Handler": ("emit", "handle", "format", "flush", "close"),
        "logging.Formatter": ("format", "formatTime", "formatException"),
        "logging.Filter": ("filter",),
        "unittest.TestCase": (
            *["setUp", "tearDown", "setUpClass", "tearDownClass", "run", "id", "debug"],
            *["addCleanup", "assertEqual", "assertTrue", "assertFalse", "assertRaises", "assertIn"],
        ),
        "argparse.Action": ("__call__",),
        "html.parser.HTMLParser": ("handle_starttag", "handle_endtag", "handle_data", "feed"),
        "string.Formatter": ("get_value", "format_field", "convert_field"),
        "abc.ABC": (),
        "enum.Enum": ("_generate_next_value_", "_missing_"),
    },
)  # fmt: skip
