from tests.integration.test_running import *
def test_b(lab):
    for i in range(3):
        t=time.monotonic()
        run = lab.detach(name=f"n{i}", **LONG)
        a=time.monotonic()-t; t=time.monotonic()
        until(lambda: is_at(run, 3))
        b=time.monotonic()-t; t=time.monotonic()
        starting.stop(run, silent, with_checkpoint=True)
        print("detach", a, "until3", b, "stop", time.monotonic()-t)
