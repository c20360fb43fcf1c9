"""The 80 classes of COCO as detectors number them.

Models trained on COCO and exported without labels are so common that 80 classes are read
as these; `describe` says so. Names as in Ultralytics' `cfg/datasets/coco.yaml`; darknet's
older list has the same order and says tvmonitor, sofa, motorbike, aeroplane.
"""

from typing import Final

COCO_80: Final = tuple(
    """person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant
    |stop sign|parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe
    |backpack|umbrella|handbag|tie|suitcase|frisbee|skis|snowboard|sports ball|kite
    |baseball bat|baseball glove|skateboard|surfboard|tennis racket|bottle|wine glass|cup|fork
    |knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake
    |chair|couch|potted plant|bed|dining table|toilet|tv|laptop|mouse|remote|keyboard
    |cell phone|microwave|oven|toaster|sink|refrigerator|book|clock|vase|scissors|teddy bear
    |hair drier|toothbrush""".replace("\n    ", "").split("|")
)
