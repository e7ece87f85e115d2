from helpers import small_schema
from small_run import small_model

from dtrn_tf.training import RunDirectory
from dtrn_tf.training.weight_roles import weight_roles, write_weight_roles


def test_every_weight_has_a_role_and_the_file_says_which(tmp_path):
    model = small_model(small_schema())
    model.towers.trainable = False
    roles = weight_roles(model)
    by_role = {role: {name.split("/")[0] for name, r in roles.items() if r == role}
               for role in ("table", "shared", "task", "frozen")}
    assert by_role["table"] == {"embedding", "wide"} and by_role["frozen"] == {"towers"}
    # MMoE's gates belong to tasks, its experts do not.
    assert roles["network/gates/kernel"] == "task"
    assert {role for name, role in roles.items() if name.startswith("network/experts")} == {
        "shared"}
    assert {"refinement", "interest", "network"} <= by_role["task"]
    line = write_weight_roles(model, RunDirectory(str(tmp_path)))
    rows = [row.split("\t") for row in (tmp_path / "weights.tsv").read_text().splitlines()[1:]]
    assert {row[1]: row[0] for row in rows} == roles
    shared = sum(int(row[3]) for row in rows if row[0] == "shared")
    assert f"shared {shared:,}, " in line and str(tmp_path / "weights.tsv") in line
    assert shared == sum(w.numpy().size for w in model.shared_weights)
