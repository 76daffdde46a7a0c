"""What the API answers: a frozen dataclass for each body; fields it does not know are left out."""

from gatewatch.answers.adapt import (
    AdaptedGates,
    AdaptReport,
    GateFigures,
)
from gatewatch.answers.audit import (
    AuditLine,
    AuditPage,
)
from gatewatch.answers.bundles import (
    Imported,
)
from gatewatch.answers.detectors import (
    DetectorInfo,
    DetectorList,
)
from gatewatch.answers.drift import (
    AlarmInfo,
    BaselineInfo,
    DriftInfo,
    MonitorInfo,
)
from gatewatch.answers.drift_power import (
    ChangePower,
    PowerInfo,
)
from gatewatch.answers.drift_replay import (
    DriftReplayInfo,
    WatchedInfo,
    WouldBeInfo,
)
from gatewatch.answers.drift_window import (
    BlockMoveInfo,
    ChannelMoveInfo,
    CircumstancesInfo,
    ContributorInfo,
    WindowInfo,
    WindowReportInfo,
)
from gatewatch.answers.history import (
    HistoryPage,
    ImageInfo,
    ScoredInfo,
    ShadowInfo,
)
from gatewatch.answers.jobs import (
    JobInfo,
    JobPage,
    JobSummary,
)
from gatewatch.answers.keys import (
    KeyInfo,
    KeyList,
    KeyMade,
    Me,
)
from gatewatch.answers.learning import (
    Calibrated,
    Fitted,
    Forgotten,
    GroupReport,
    LeftOutGroup,
    RejectedImage,
)
from gatewatch.answers.notices import (
    DeliveryInfo,
    NoticeInfo,
    NoticePage,
    TrialReport,
    TriedInfo,
)
from gatewatch.answers.options import (
    Options,
)
from gatewatch.answers.problem import (
    Problem,
)
from gatewatch.answers.replay import (
    BinInfo,
    ChangedInfo,
    CountInfo,
    ReplayInfo,
)
from gatewatch.answers.reviews import (
    ProposalInfo,
    ProposalList,
    Proposed,
    ReviewInfo,
    ReviewPage,
    ShiftInfo,
)
from gatewatch.answers.score_many import (
    DetectorRefused,
    ManyScores,
)
from gatewatch.answers.scores import (
    Axis,
    BlockDivergence,
    Comparison,
    Explanation,
    ImageResult,
    NormalImage,
    Places,
    Region,
    Scores,
    TimingsMs,
)
from gatewatch.answers.service import (
    Info,
    KindInfo,
    Life,
    Readiness,
    StageHealth,
)
from gatewatch.answers.thresholds import (
    CalibrationScores,
    DrawnThreshold,
    NewThreshold,
    Point,
    Preview,
    Share,
    Threshold,
)
from gatewatch.answers.traffic import (
    DetectorTraffic,
    Traffic,
    TrafficBucket,
)
from gatewatch.answers.versions import (
    FittedImage,
    FittedImages,
    VersionComparison,
    VersionDetail,
    VersionInfo,
    VersionList,
)

__all__ = [
    "AdaptReport",
    "AdaptedGates",
    "AlarmInfo",
    "AuditLine",
    "AuditPage",
    "Axis",
    "BaselineInfo",
    "BinInfo",
    "BlockDivergence",
    "BlockMoveInfo",
    "Calibrated",
    "CalibrationScores",
    "ChangePower",
    "ChangedInfo",
    "ChannelMoveInfo",
    "CircumstancesInfo",
    "Comparison",
    "ContributorInfo",
    "CountInfo",
    "DeliveryInfo",
    "DetectorInfo",
    "DetectorList",
    "DetectorRefused",
    "DetectorTraffic",
    "DrawnThreshold",
    "DriftInfo",
    "DriftReplayInfo",
    "Explanation",
    "Fitted",
    "FittedImage",
    "FittedImages",
    "Forgotten",
    "GateFigures",
    "GroupReport",
    "HistoryPage",
    "ImageInfo",
    "ImageResult",
    "Imported",
    "Info",
    "JobInfo",
    "JobPage",
    "JobSummary",
    "KeyInfo",
    "KeyList",
    "KeyMade",
    "KindInfo",
    "LeftOutGroup",
    "Life",
    "ManyScores",
    "Me",
    "MonitorInfo",
    "NewThreshold",
    "NormalImage",
    "NoticeInfo",
    "NoticePage",
    "Options",
    "Places",
    "Point",
    "PowerInfo",
    "Preview",
    "Problem",
    "ProposalInfo",
    "ProposalList",
    "Proposed",
    "Readiness",
    "Region",
    "RejectedImage",
    "ReplayInfo",
    "ReviewInfo",
    "ReviewPage",
    "ScoredInfo",
    "Scores",
    "ShadowInfo",
    "Share",
    "ShiftInfo",
    "StageHealth",
    "Threshold",
    "TimingsMs",
    "Traffic",
    "TrafficBucket",
    "TrialReport",
    "TriedInfo",
    "VersionComparison",
    "VersionDetail",
    "VersionInfo",
    "VersionList",
    "WatchedInfo",
    "WindowInfo",
    "WindowReportInfo",
    "WouldBeInfo",
]
