import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import r2_score

from d4rl_automl.evaluation import comparison
from d4rl_automl.methods import bc, mlp
from d4rl_automl.methods import teacher as teacher_method
from d4rl_automl.policies import loading
from d4rl_automl.teachers import training
from d4rl_automl.teachers.settings import TeacherSettings
from tests.support import learnable

TEACHER = TeacherSettings(
    name="linear", preset="medium", rows=None, time_limit=60, chain=False, hyperparameters={"LR": {}}
)
NETWORK = {
    "network": {"width": 32, "layers": 1},
    "rows": None,
    "updates": 200,
    "batch_size": 64,
    "learning_rate": 3e-3,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Transitions, and the handles of a linear teacher of a control, and of one that clones of another seed."""
    folder = tmp_path_factory.mktemp("students")
    table = learnable.write_transitions(folder / "transitions.parquet")
    common = {"transitions": str(table), "seed": 0, "device": "cpu", "threads": 1}
    deployed = [str(folder / f"teachers/deployed/ac{i}") for i in range(3)]
    for i, directory in enumerate(deployed):
        training.train_dimension(
            **common,
            dimension=i,
            settings=TEACHER,
            predictor=folder / f"teachers/ac{i}",
            deployed=directory,
            metrics=folder / f"ac{i}.csv",
            leaderboard=folder / f"ac{i}.leaderboard.csv",
        )
    policies = folder / "policies"
    teacher_method.fit(
        **common,
        settings=teacher_method.Settings(name="linear-teacher", kind="teacher", teacher="linear"),
        output=str(policies / "linear-teacher-s0.json"),
        deployed=deployed,
    )
    for module, name, seed in ((mlp, "mlp", 0), (bc, "bc", 1)):
        settings = module.Settings.model_validate({**NETWORK, "name": name, "kind": name})
        module.fit(**{**common, "seed": seed}, settings=settings, output=str(policies / f"{name}-s{seed}.json"))
    return folder


def test_the_table(made):
    handles = [made / f"policies/{name}.json" for name in ("linear-teacher-s0", "mlp-s0", "bc-s1")]
    comparison.compare(transitions=made / "transitions.parquet", policies=handles, threads=1, output=made / "s.csv")
    table = pd.read_csv(made / "s.csv").set_index("method")
    assert list(table.index) == ["linear-teacher", "mlp", "bc"]
    assert list(table.seed) == [0, 0, 1] and list(table.kind) == ["teacher", "mlp", "bc"]

    # Fewer test rows than the limit, so that the losses are of all of them.
    test = pq.read_table(made / "transitions.parquet", filters=[("split", "==", "test")]).to_pandas()
    states, outcomes = test[[f"ob{i}" for i in range(11)]].to_numpy(), test[["rtg"]].to_numpy()
    recorded = test[["ac0", "ac1", "ac2"]].to_numpy()
    taught = loading.load_policy(handles[0]).act(states, outcomes)
    for handle in handles:
        own = loading.load_policy(handle)
        acted = own.act(states, outcomes if own.outcome_rule.width else None)
        row = table.loc[own.metadata["method"]]
        assert row.l2_data == pytest.approx(((acted - recorded) ** 2).mean(), rel=1e-4)
        errors = ((acted - recorded) ** 2).mean(axis=0)
        assert list(row[["l2_data_ac0", "l2_data_ac1", "l2_data_ac2"]]) == pytest.approx(list(errors), rel=1e-4)
        assert row.r2_data == pytest.approx(r2_score(recorded, acted, multioutput="variance_weighted"), rel=1e-4)
        if row.seed == 0:
            assert row.teacher == "linear-teacher"
            assert row.l2_teacher == pytest.approx(((acted - taught) ** 2).mean(), rel=1e-4, abs=1e-9)
            assert row.r2_teacher == pytest.approx(r2_score(taught, acted, multioutput="variance_weighted"), rel=1e-4)
    # The teacher of seed 0 is no teacher of a policy of seed 1.
    assert table.loc["bc", ["teacher", "l2_teacher", "r2_teacher"]].isna().all()

    assert table.loc["mlp", "bytes"] == (made / "policies/mlp-s0.onnx").stat().st_size
    deployed = [file for file in (made / "teachers/deployed").glob("ac*/**/*") if file.is_file()]
    assert table.loc["linear-teacher", "bytes"] == sum(file.stat().st_size for file in deployed)
    assert (table.rows_per_second > 0).all()


def test_the_control_is_conditioned_as_it_is_told(made):
    states = np.zeros((2, 11), np.float32)
    conditional = loading.load_policy(made / "policies/mlp-s0.json")
    low, high = conditional.act(states, np.array([[0.2], [1.8]]))
    assert high[2] - low[2] > 0.5  # the third action is the outcome itself, times a half
    assert loading.load_policy(made / "policies/bc-s1.json").act(states).shape == (2, 3)
