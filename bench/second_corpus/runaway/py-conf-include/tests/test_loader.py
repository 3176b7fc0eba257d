from conf.loader import load


def write(folder, name, prefix, *includes, count=150):
    lines = [f"include {other}" for other in includes]
    lines += [f"{prefix}.option{n} = value {n} of {prefix}" for n in range(count)]
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def test_single_file(tmp_path):
    path = write(tmp_path, "app.conf", "app")
    assert load(path)["app.option3"] == "value 3 of app"


def test_included_file(tmp_path):
    write(tmp_path, "defaults.conf", "base")
    path = write(tmp_path, "app.conf", "app", "defaults.conf")
    assert load(path)["base.option1"] == "value 1 of base"


def test_files_that_need_each_other(tmp_path):
    write(tmp_path, "defaults.conf", "base", "local.conf")
    path = write(tmp_path, "local.conf", "local", "defaults.conf")
    assert len(load(path)) == 300
