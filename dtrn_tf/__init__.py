"""dtrn_tf: multi-task recommendation with one bottom representation per task (DTRN).

Axis letters, the same in every docstring, comment and einsum string of this package:

    R  request                    F  field (embedding slot of a feature)
    B  row (impression/candidate) D  embedding width
    K  task                       E  expert
    T  behaviour type             H  attention head
    L  sequence position

Reference: "Deep Task-specific Bottom Representation Network for Multi-Task Recommendation",
arXiv 2308.05996.
"""
