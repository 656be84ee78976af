"""Rigs as tools write them; see `rig_files.py` for the notation."""

from __future__ import annotations

import re

from core.motion.rigs_of_avatars import (
    CHARACTER_CREATOR,
    HANDS,
    LAFAN,
    MAKEHUMAN,
    METARIG,
    MOTIVE,
    NEURON,
    RIGIFY,
    ROKOKO,
    UNITY,
    UNREAL,
    VICON,
    VROID,
)

# The legs hang on the spine and the arms on the neck.
_BIPED = """
Bip01 | pelvis
  Bip01 Pelvis | pelvis
    Bip01 Spine | pelvis | 0 0 0.01
      *
        Bip01 {S} Thigh | hip
          Bip01 {S} Calf | knee
            Bip01 {S} Foot | ankle
              Bip01 {S} Toe0 | foot
                Bip01 {S} Toe0Nub | foot | 0.06 0 0
      Bip01 Spine1 | spine1
        Bip01 Spine2 | spine2
          Bip01 Spine3 | spine3
            Bip01 Neck | neck | 0 0 -0.07
              Bip01 Head | head
                Bip01 HeadNub | head | 0 0 0.2
              *
                Bip01 {S} Clavicle | collar
                  Bip01 {S} UpperArm | shoulder
                    Bip01 {S} Forearm | elbow
                      Bip01 {S} Hand | wrist
                        Bip01 {S} Finger0 | wrist | 0.03 0.03 0
                          Bip01 {S} Finger01 | wrist | 0.04 0.06 0
                        Bip01 {S} Finger1 | wrist | 0.02 0.09 0
  Bip01 Footsteps | world
"""

_GENESIS = """
hip | pelvis
  pelvis | pelvis
    *
      {s}ThighBend | hip
        {s}ThighTwist | hip | 0 0 -0.2
          {s}Shin | knee
            {s}Foot | ankle
              {s}Metatarsals | ankle | 0.05 0 -0.03
                {s}Toe | foot
                  {s}SmallToe1 | foot | 0.02 0.03 0
                  {s}BigToe | foot | 0.03 -0.02 0
  abdomenLower | spine1
    abdomenUpper | spine2
      chestLower | spine3
        {chest} | spine3 | 0 0 0.1
          *
            {s}Collar | collar
              {s}ShldrBend | shoulder
                {s}ShldrTwist | shoulder | 0 0.13 0
                  {s}ForearmBend | elbow
                    {s}ForearmTwist | elbow | 0 0.13 0
                      {s}Hand | wrist
                        {s}Thumb1 | wrist | 0.03 0.03 0
                        {s}Carpal1 | wrist | 0.01 0.03 0
                          {s}Index1 | wrist | 0.02 0.09 0
          neckLower | neck
            neckUpper | neck | 0 0 0.05
              head | head
                upperFaceRig | head | 0.05 0 0.05
                lowerJaw | head | 0.04 0 0
                {s}Eye | head | 0.07 0.03 0.06
""".replace("{chest}", "chestUpper").replace("{s}Eye", "lEye")

_CGSPEED = """
hip | pelvis
  abdomen | spine1
    chest | spine3
      neck | neck
        head | head
          leftEye | head | 0.07 0.03 0.06
          rightEye | head | 0.07 -0.03 0.06
      *
        {s}Collar | collar
          {s}Shldr | shoulder
            {s}ForeArm | elbow
              {s}Hand | wrist
                {s}Thumb1 | wrist | 0.03 0.03 0
                  {s}Thumb2 | wrist | 0.05 0.07 0
                {s}Index1 | wrist | 0.02 0.09 0
                  {s}Index2 | wrist | 0.02 0.13 0
  *
    {s}Buttock | pelvis | 0 0.07 0.02
      {s}Thigh | hip
        {s}Shin | knee
          {s}Foot | ankle
"""

_XSENS = """
Hips | pelvis
  Chest | spine1
    Chest2 | spine2
      Chest3 | spine3
        Chest4 | spine3 | 0 0 0.1
          Neck | neck
            Head | head
          *
            {Side}Collar | collar
              {Side}Shoulder | shoulder
                {Side}Elbow | elbow
                  {Side}Wrist | wrist
  *
    {Side}Hip | hip
      {Side}Knee | knee
        {Side}Ankle | ankle
          {Side}Toe | foot
"""

_XSENS_SEGMENTS = """
Reference | world
  Pelvis | pelvis
    L5 | spine1
      L3 | spine1 | 0 0 0.07
        T12 | spine2
          T8 | spine3
            Neck | neck
              Head | head
            *
              {Side}Shoulder | collar
                {Side}UpperArm | shoulder
                  {Side}ForeArm | elbow
                    {Side}Hand | wrist
    *
      {Side}UpperLeg | hip
        {Side}LowerLeg | knee
          {Side}Foot | ankle
            {Side}Toe | foot
"""

_SOMA = """
Root | world
  Hips | pelvis
    Spine1 | spine1
      Spine2 | spine2
        Chest | spine3
          Neck1 | neck
            Neck2 | neck | 0 0 0.05
              Head | head
                HeadEnd | head | 0 0 0.18
                Jaw | head | 0.05 0 0
          *
            {Side}Shoulder | collar
              {Side}Arm | shoulder
                {Side}ForeArm | elbow
                  {Side}Hand | wrist
                    {Side}HandThumb1 | wrist | 0.03 0.03 0
                    {Side}HandMiddle1 | wrist | 0 0.09 0
                      {Side}HandMiddle2 | wrist | 0 0.13 0
                        {Side}HandMiddleEnd | wrist | 0 0.16 0
    *
      {Side}Leg | hip
        {Side}Shin | knee
          {Side}Foot | ankle
            {Side}ToeBase | foot
              {Side}ToeEnd | foot | 0.06 0 0
"""

_SMPLX = """
m_avg_root | world
  m_avg_Pelvis | pelvis
    *
      m_avg_{S}_Hip | hip
        m_avg_{S}_Knee | knee
          m_avg_{S}_Ankle | ankle
            m_avg_{S}_Foot | foot
    m_avg_Spine1 | spine1
      m_avg_Spine2 | spine2
        m_avg_Spine3 | spine3
          m_avg_Neck | neck
            m_avg_Head | head
          *
            m_avg_{S}_Collar | collar
              m_avg_{S}_Shoulder | shoulder
                m_avg_{S}_Elbow | elbow
                  m_avg_{S}_Wrist | wrist
                    m_avg_{S}_Hand | wrist | 0 0.09 0
"""

_CMU_MOTIONBUILDER = """
Hips | pelvis
  *
    {S}HipJoint | pelvis | 0 0.01 -0.01
      {Side}UpLeg | hip
        {Side}Leg | knee
          {Side}Foot | ankle
            {Side}ToeBase | foot
  LowerBack | pelvis | 0 0 0.01
    Spine | spine1
      Spine1 | spine2
        Neck | neck
          Neck1 | neck | 0 0 0.05
            Head | head
        *
          {Side}Shoulder | collar
            {Side}Arm | shoulder
              {Side}ForeArm | elbow
                {Side}Hand | wrist
                  {Side}FingerBase | wrist | 0 0.07 0
                    {Side}HandIndex1 | wrist | 0.02 0.09 0
                  {S}Thumb | wrist | 0.03 0.03 0
"""

_HUMAN_IK = """
Character1_Reference | world
  Character1_Hips | pelvis
    *
      Character1_{Side}UpLeg | hip
        Character1_{Side}UpLegRoll | hip | 0 0 -0.2
        Character1_{Side}Leg | knee
          Character1_{Side}LegRoll | knee | 0 0 -0.2
          Character1_{Side}Foot | ankle
            Character1_{Side}ToeBase | foot
    Character1_Spine | spine1
      Character1_Spine1 | spine2
        Character1_Spine2 | spine3
          *
            Character1_{Side}Shoulder | collar
              Character1_{Side}ShoulderExtra | collar | 0 0.1 0.02
              Character1_{Side}Arm | shoulder
                Character1_{Side}ArmRoll | shoulder | 0 0.13 0
                Character1_{Side}ForeArm | elbow
                  Character1_{Side}ForeArmRoll | elbow | 0 0.13 0
                  Character1_{Side}Hand | wrist
          Character1_Neck | neck
            Character1_Head | head
"""

_KINECT = """
SpineBase | pelvis
  SpineMid | spine2
    SpineShoulder | neck | 0 0 -0.05
      Neck | neck
        Head | head
      *
        Shoulder{Side} | shoulder
          Elbow{Side} | elbow
            Wrist{Side} | wrist
              Hand{Side} | wrist | 0 0.05 0
                HandTip{Side} | wrist | 0 0.14 0
              Thumb{Side} | wrist | 0.04 0.05 0
  *
    Hip{Side} | hip
      Knee{Side} | knee
        Ankle{Side} | ankle
          Foot{Side} | foot
"""

_CASCADEUR = """
pelvis | pelvis
  stomach | spine1
    chest | spine3
      neck | neck
        head | head
      *
        clavicle_{s} | collar
          arm_{s} | shoulder
            forearm_{s} | elbow
              hand_{s} | wrist
              weapon_{s} | wrist | 0.05 0.1 0
  *
    thigh_{s} | hip
      calf_{s} | knee
        foot_{s} | ankle
          toe_{s} | foot
"""

# No collars, one spine joint, names of the joints themselves.
_SPARSE = """
Hip_joint | pelvis
  *
    {Side}_Hip_joint | hip
      {Side}_Knee_joint | knee
        {Side}_Ankle_joint | ankle
  Spine_joint | spine2
    Head_joint | head
    *
      {Side}_Shoulder_joint | shoulder
        {Side}_Elbow_joint | elbow
          {Side}_Wrist_joint | wrist
"""

_CHEST_ROOT = """
chest | spine3
  neck | neck
    head | head
  *
    upper_arm_{s} | shoulder
      lower_arm_{s} | elbow
        hand_{s} | wrist
  waist | spine1
    pelvis | pelvis
      *
        upper_leg_{s} | hip
          lower_leg_{s} | knee
            foot_{s} | ankle
              toe_{s} | foot
"""

_GERMAN = """
Becken | pelvis
  *
    Oberschenkel_{S} | hip
      Unterschenkel_{S} | knee
        Fuss_{S} | ankle
          Zehen_{S} | foot
  Wirbel1 | spine1
    Wirbel2 | spine2
      Wirbel3 | spine3
        Hals | neck
          Kopf | head
        *
          Schluesselbein_{S} | collar
            Oberarm_{S} | shoulder
              Unterarm_{S} | elbow
                Handgelenk_{S} | wrist
"""

_MMD = """
センター | pelvis
  下半身 | pelvis
    *
      {J}足 | hip
        {J}ひざ | knee
          {J}足首 | ankle
            {J}つま先 | foot
  上半身 | spine1
    上半身2 | spine3
      首 | neck
        頭 | head
      *
        {J}肩 | collar
          {J}腕 | shoulder
            {J}ひじ | elbow
              {J}手首 | wrist
                {J}人指１ | wrist | 0.02 0.09 0
                {J}親指０ | wrist | 0.03 0.03 0
"""

# Only numbers: the joints are found by the hierarchy and the bones.
_NAMELESS = """
n0 | pelvis
  n1 | left_hip
    n2 | left_knee
      n3 | left_ankle
        n4 | left_foot
  n5 | spine1
    n6 | spine2
      n7 | spine3
        n8 | right_collar
          n9 | right_shoulder
            n10 | right_elbow
              n11 | right_wrist
        n12 | neck
          n13 | head
        n14 | left_collar
          n15 | left_shoulder
            n16 | left_elbow
              n17 | left_wrist
  n18 | right_hip
    n19 | right_knee
      n20 | right_ankle
        n21 | right_foot
"""


def _in_front(prefix: str, rig: str) -> str:
    """A rig with a prefix before every name."""
    return re.sub(r"^( *)(?=[^ *\n])", rf"\1{prefix}", rig, flags=re.MULTILINE)


RIGS: dict[str, str] = {
    "LAFAN1, Qualisys, Captury": LAFAN,
    "Mixamo": _in_front("mixamorig:", HANDS),
    "DeepMotion": re.sub(r"\S+(?= \|)", lambda m: f"{m[0]}_JNT", LAFAN).replace("{Side}", "{s}_"),
    "a take's name": _in_front("Actor01_", LAFAN),
    "a take's name with parts of the body": _in_front("LeftHandTest_", LAFAN),
    "Unreal": UNREAL,
    "Unity": UNITY,
    "MakeHuman": MAKEHUMAN,
    "Rokoko": ROKOKO,
    "Perception Neuron": NEURON,
    "Vicon": VICON,
    "Motive": MOTIVE,
    "Character Creator": CHARACTER_CREATOR,
    "VRoid": VROID,
    "Rigify": RIGIFY,
    "Rigify's metarig": METARIG,
    "Biped": _BIPED,
    "Genesis 8": _GENESIS,
    "cgspeed's Daz": _CGSPEED,
    "Xsens": _XSENS,
    "Xsens segments": _XSENS_SEGMENTS,
    "SOMA": _SOMA,
    "SMPL-X in Maya": _SMPLX,
    "CMU in MotionBuilder": _CMU_MOTIONBUILDER,
    "HumanIK": _HUMAN_IK,
    "Kinect": _KINECT,
    "Cascadeur": _CASCADEUR,
    "sparse": _SPARSE,
    "root in the chest": _CHEST_ROOT,
    "German": _GERMAN,
    "MMD": _MMD,
    "nameless": _NAMELESS,
    "upper case": re.sub(r"[A-Z{]\S+(?= \|)", lambda m: m[0].upper(), LAFAN),
}
