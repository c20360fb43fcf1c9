"""When a prediction is taken as it is, when it is doubted, and what holds meanwhile."""

from pydantic import Field

from visionedge.entities import Provisional
from visionedge.settings.section import Name, Section, Unit


class ClassRule(Section):
    """Rules of one class."""

    accept: Unit = Field(title="Accept from", description="From this confidence on it is taken.")
    provisional: Provisional | None = Field(
        None,
        title="Provisional verdict",
        description="What holds for a doubt about this class; absent is that of all.",
    )


class DecisionSettings(Section):
    """When a prediction is taken as it is, and when it is doubted."""

    accept: Unit = Field(
        0.5,
        title="Accept from",
        description="From this confidence on a box or class is taken; what lies between the "
        "floor and this is doubted.",
    )
    margin: Unit = Field(
        0.15,
        title="Margin",
        description="Doubted when a second class comes this close, in a classification or as "
        "another box on the same object.",
    )
    close: Unit = Field(
        0.4,
        title="Close to the threshold",
        description="What is taken by less than this is doubted all the same; 0 is off.",
    )
    box_minimum: Unit = Field(
        0.0,
        title="Box minimum",
        description="A box that is taken with less than this is doubted; 0 is off.",
    )
    entropy: Unit = Field(
        1.0,
        title="Most entropy",
        description="A classification of more normalised entropy is doubted; 1 is off.",
    )
    weak_box: Unit = Field(
        0.5, title="Weak box", description="Boxes below this count for `weak_share`."
    )
    weak_share: Unit = Field(
        0.0,
        title="Share of weak boxes",
        description="A frame is doubted when this share of its boxes is weak; 0 is off.",
    )
    unstable: Unit = Field(
        0.8,
        title="Most flicker",
        description="An object that is taken in some frames and not in others, or changes its "
        "class, is doubted beyond this: 0 is steady, 1 is half and half and switches it off.",
    )
    novelty: Unit = Field(
        1.0,
        title="Most novelty",
        description="A picture that is less like all before it, by light, colour and edges, is "
        "doubted: 0 is as always; 1 switches it off. It finds other products and failed lamps, "
        "not small defects.",
    )
    provisional: Provisional = Field(
        Provisional.BEST_GUESS,
        title="Provisional verdict",
        description="What holds for a doubtful frame until the answer: best_guess takes the "
        "model's word, reject treats the part as bad, hold sets it aside, second_model asks "
        "`escalation.second` and takes the model's word until that has looked.",
    )
    away: Provisional | None = Field(
        None,
        title="Provisional verdict while the cloud is away",
        description="The same while the link is measured to be offline, for all classes; absent "
        "makes no difference.",
    )
    classes: dict[Name, ClassRule] = Field(
        {}, max_length=1000, title="Classes", description="Rules of single classes, by label."
    )
