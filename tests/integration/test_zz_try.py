from tests.integration.test_running import *
def test_a(lab):
    t=time.monotonic()
    run = lab.prepare()
    print("prepare", time.monotonic()-t); t=time.monotonic()
    e = supervise(run)
    print("supervise", time.monotonic()-t); t=time.monotonic()
    print(e)
    for x in events_of(run): print(x)
    print((run/"trainer.log").read_bytes()[:3000])
    print(look(run).status, time.monotonic()-t)
    print(os.listdir(run))
def test_b(lab):
    t=time.monotonic()
    run = lab.detach()
    print("detach", time.monotonic()-t); t=time.monotonic()
    until(lambda: not lab.processes())
    print("end", time.monotonic()-t); t=time.monotonic()
    print(exit_of(run))
