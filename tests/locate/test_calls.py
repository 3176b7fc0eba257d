"""What a loop calls, by the grammars of compiled languages and of JavaScript."""

import pytest

from linnix_ls.locate.frames import frame_at

SOURCES = {
    "a.c": "int f(int fd) {\n  for (;;)\n    if (recv(fd, b, 1, 0) || poll(p, 1, 0)) break;\n}\n",
    "a.cpp": "void f() {\n  while (!m.try_lock())\n    std::this_thread::yield();\n}\n",
    "A.java": "class A { void f() {\n  while (q.items().isEmpty())\n    new Thread(r).run();\n}}\n",
    "a.js": "function f() {\n  while (!fs.existsSync(name))\n    new Map().get(1);\n}\n",
    "a.rs": "fn f() {\n  while !rx.lock::<u8>().is_ready() {\n    std::hint::spin_loop(); } }\n",
    "a.sh": "f() {\n  until ready; do\n    poll; done\n}\n",
}
CALLS = {
    "a.c": ("recv", "poll"),
    "a.cpp": ("try_lock", "yield"),
    "A.java": ("isEmpty", "items", "run", "Thread"),
    "a.js": ("existsSync", "get", "Map"),
    "a.rs": ("is_ready", "lock", "spin_loop"),
    "a.sh": (),  # any word there may be a function of the user's
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_names_that_a_loop_calls(tmp_path, name):
    (tmp_path / name).write_text(SOURCES[name])
    assert frame_at("f", str(tmp_path / name), 3).calls == CALLS[name]
    assert frame_at("f", str(tmp_path / name), 1).calls == ()
