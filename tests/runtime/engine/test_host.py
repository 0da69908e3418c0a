from sealift.runtime.engine.host import cgroup_limit_files, memory_bytes, resident_bytes


def test_limits_of_every_level_are_looked_for() -> None:
    assert cgroup_limit_files("0::/system.slice/sealift.service\n") == (
        "system.slice/sealift.service/memory.max",
        "system.slice/memory.max",
        "memory.max",
    )
    both = "5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/\n"
    assert cgroup_limit_files(both) == (
        "memory/a/b/memory.limit_in_bytes",
        "memory/a/memory.limit_in_bytes",
        "memory/memory.limit_in_bytes",
        "memory.max",
    )


def test_a_path_of_another_namespace_leads_nowhere_else() -> None:
    assert cgroup_limit_files("0::/../../a") == ("a/memory.max", "memory.max")
    assert cgroup_limit_files("") == ()


def test_this_process_fits_into_what_it_may_use() -> None:
    assert 0 < resident_bytes() < memory_bytes()
