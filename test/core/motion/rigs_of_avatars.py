"""Rigs of games, avatars and recordings; see `rig_files.py` for the notation."""

from __future__ import annotations

LAFAN = """
Hips | pelvis
  *
    {Side}UpLeg | hip
      {Side}Leg | knee
        {Side}Foot | ankle
          {Side}Toe | foot
  Spine | spine1
    Spine1 | spine2
      Spine2 | spine3
        Neck | neck
          Head | head
        *
          {Side}Shoulder | collar
            {Side}Arm | shoulder
              {Side}ForeArm | elbow
                {Side}Hand | wrist
"""

HANDS = """
Hips | pelvis
  *
    {Side}UpLeg | hip
      {Side}Leg | knee
        {Side}Foot | ankle
          {Side}ToeBase | foot
            {Side}Toe_End | foot | 0.07 0 0
  Spine | spine1
    Spine1 | spine2
      Spine2 | spine3
        Neck | neck
          Head | head
            HeadTop_End | head | 0 0 0.18
            LeftEye | head | 0.07 0.03 0.06
            RightEye | head | 0.07 -0.03 0.06
        *
          {Side}Shoulder | collar
            {Side}Arm | shoulder
              {Side}ForeArm | elbow
                {Side}Hand | wrist
                  {Side}HandThumb1 | wrist | 0.03 0.03 0
                    {Side}HandThumb2 | wrist | 0.04 0.06 0
                      {Side}HandThumb3 | wrist | 0.05 0.09 0
                  {Side}HandIndex1 | wrist | 0.02 0.09 0
                    {Side}HandIndex2 | wrist | 0.02 0.13 0
                      {Side}HandIndex3 | wrist | 0.02 0.15 0
                        {Side}HandIndex4 | wrist | 0.02 0.17 0
                  {Side}HandPinky1 | wrist | -0.03 0.08 0
                    {Side}HandPinky2 | wrist | -0.03 0.11 0
                      {Side}HandPinky3 | wrist | -0.03 0.13 0
"""

UNREAL = """
root | world
  pelvis | pelvis
    spine_01 | spine1
      spine_02 | spine2
        spine_03 | spine3
          *
            clavicle_{s} | collar
              upperarm_{s} | shoulder
                upperarm_twist_01_{s} | shoulder | 0 0.12 0
                lowerarm_{s} | elbow
                  lowerarm_twist_01_{s} | elbow | 0 0.13 0
                  hand_{s} | wrist
                    index_01_{s} | wrist | 0.02 0.09 0
                      index_02_{s} | wrist | 0.02 0.13 0
                    middle_01_{s} | wrist | 0 0.09 0
                      middle_02_{s} | wrist | 0 0.14 0
                    thumb_01_{s} | wrist | 0.03 0.03 0
          neck_01 | neck
            head | head
    *
      thigh_{s} | hip
        thigh_twist_01_{s} | hip | 0 0 -0.2
        calf_{s} | knee
          calf_twist_01_{s} | knee | 0 0 -0.2
          foot_{s} | ankle
            ball_{s} | foot
  ik_foot_root | world
    *
      ik_foot_{s} | ankle
  ik_hand_root | world
    ik_hand_gun | right_wrist
      *
        ik_hand_{s} | wrist
"""

UNITY = """
Hips | pelvis
  *
    {Side}UpperLeg | hip
      {Side}LowerLeg | knee
        {Side}Foot | ankle
          {Side}Toes | foot
  Spine | spine1
    Chest | spine2
      UpperChest | spine3
        Neck | neck
          Head | head
            Jaw | head | 0.05 0 0
        *
          {Side}Shoulder | collar
            {Side}UpperArm | shoulder
              {Side}LowerArm | elbow
                {Side}Hand | wrist
                  {Side} Thumb Proximal | wrist | 0.03 0.03 0
                    {Side} Thumb Distal | wrist | 0.05 0.08 0
                  {Side} Index Proximal | wrist | 0.02 0.09 0
                    {Side} Index Distal | wrist | 0.02 0.14 0
"""

MAKEHUMAN = """
root | pelvis
  *
    pelvis.{S} | pelvis | 0 0.04 -0.03
      upperleg01.{S} | hip
        upperleg02.{S} | hip | 0 0 -0.2
          lowerleg01.{S} | knee
            lowerleg02.{S} | knee | 0 0 -0.2
              foot.{S} | ankle
                toe1-1.{S} | foot
                  toe1-2.{S} | foot | 0.04 0.01 0
                toe2-1.{S} | foot | 0 -0.02 0
                  toe2-2.{S} | foot | 0.03 -0.02 0
                toe5-1.{S} | foot | -0.01 -0.06 0
  spine05 | spine1 | 0 0 -0.05
    spine04 | spine1
      spine03 | spine2
        spine02 | spine3
          breast.L | spine3 | 0.1 0.08 0.05
          breast.R | spine3 | 0.1 -0.08 0.05
          spine01 | spine3 | 0 0 0.1
            neck01 | neck
              neck02 | neck | 0 0 0.05
                neck03 | neck | 0 0 0.07
                  head | head
                    jaw | head | 0.06 0 0
                      tongue00 | head | 0.07 0 0
                    eye.L | head | 0.08 0.03 0.06
                    eye.R | head | 0.08 -0.03 0.06
            *
              clavicle.{S} | collar
                shoulder01.{S} | collar | 0 0.09 0.01
                  upperarm01.{S} | shoulder
                    upperarm02.{S} | shoulder | 0 0.13 0
                      lowerarm01.{S} | elbow
                        lowerarm02.{S} | elbow | 0 0.13 0
                          wrist.{S} | wrist
                            metacarpal1.{S} | wrist | 0.01 0.02 0
                              finger2-1.{S} | wrist | 0.02 0.09 0
                                finger2-2.{S} | wrist | 0.02 0.13 0
                            finger1-1.{S} | wrist | 0.03 0.03 0
"""

ROKOKO = """
Hips | pelvis
  Spine1 | spine1 | 0 0 -0.02
    Spine2 | spine1 | 0 0 0.03
      Spine3 | spine2
        Spine4 | spine3
          Neck | neck
            Head | head
          *
            {Side}Shoulder | collar
              {Side}Arm | shoulder
                {Side}ForeArm | elbow
                  {Side}Hand | wrist
                    {Side}Finger2Metacarpal | wrist | 0.01 0.03 0
                      {Side}Finger2Proximal | wrist | 0.02 0.09 0
                        {Side}Finger2Distal | wrist | 0.02 0.13 0
  *
    {Side}Thigh | hip
      {Side}Shin | knee
        {Side}Foot | ankle
          {Side}Toe | foot
            {Side}ToeTip | foot | 0.06 0 0
"""

NEURON = """
Hips | pelvis
  *
    {Side}UpLeg | hip
      {Side}Leg | knee
        {Side}Foot | ankle
  Spine | spine1
    Spine1 | spine2
      Spine2 | spine3
        Spine3 | spine3 | 0 0 0.08
          Neck | neck
            Head | head
          *
            {Side}Shoulder | collar
              {Side}Arm | shoulder
                {Side}ForeArm | elbow
                  {Side}Hand | wrist
                    {Side}InHandIndex | wrist | 0.01 0.03 0
                      {Side}HandIndex1 | wrist | 0.02 0.09 0
                        {Side}HandIndex2 | wrist | 0.02 0.13 0
                    {Side}HandThumb1 | wrist | 0.03 0.03 0
                      {Side}HandThumb2 | wrist | 0.05 0.08 0
"""

VICON = """
Subject1:root | pelvis
  *
    Subject1:{s}femur | hip
      Subject1:{s}tibia | knee
        Subject1:{s}foot | ankle
          Subject1:{s}toes | foot
  Subject1:lowerback | spine1
    Subject1:upperback | spine2
      Subject1:thorax | spine3
        Subject1:lowerneck | neck
          Subject1:upperneck | neck | 0 0 0.05
            Subject1:head | head
        *
          Subject1:{s}clavicle | collar
            Subject1:{s}humerus | shoulder
              Subject1:{s}radius | elbow
                Subject1:{s}wrist | wrist
                  Subject1:{s}hand | wrist | 0 0.06 0
                    Subject1:{s}fingers | wrist | 0 0.11 0
                  Subject1:{s}thumb | wrist | 0.03 0.04 0
"""

MOTIVE = """
Skeleton_001_Hip | pelvis
  Skeleton_001_Ab | spine1
    Skeleton_001_Chest | spine3
      Skeleton_001_Neck | neck
        Skeleton_001_Head | head
      *
        Skeleton_001_{S}Shoulder | collar
          Skeleton_001_{S}UArm | shoulder
            Skeleton_001_{S}FArm | elbow
              Skeleton_001_{S}Hand | wrist
  *
    Skeleton_001_{S}Thigh | hip
      Skeleton_001_{S}Shin | knee
        Skeleton_001_{S}Foot | ankle
          Skeleton_001_{S}Toe | foot
"""

CHARACTER_CREATOR = """
RL_BoneRoot | world
  CC_Base_Hip | pelvis
    CC_Base_Pelvis | pelvis
      *
        CC_Base_{S}_Thigh | hip
          CC_Base_{S}_ThighTwist01 | hip | 0 0 -0.1
            CC_Base_{S}_ThighTwist02 | hip | 0 0 -0.25
          CC_Base_{S}_Calf | knee
            CC_Base_{S}_KneeShareBone | knee
            CC_Base_{S}_CalfTwist01 | knee | 0 0 -0.1
              CC_Base_{S}_CalfTwist02 | knee | 0 0 -0.25
            CC_Base_{S}_Foot | ankle
              CC_Base_{S}_ToeBaseShareBone | foot
              CC_Base_{S}_ToeBase | foot
                CC_Base_{S}_BigToe1 | foot | 0.04 0.01 0
    CC_Base_Waist | spine1
      CC_Base_Spine01 | spine2
        CC_Base_Spine02 | spine3
          CC_Base_NeckTwist01 | neck
            CC_Base_NeckTwist02 | neck | 0 0 0.05
              CC_Base_Head | head
                CC_Base_FacialBone | head
                  CC_Base_JawRoot | head | 0.03 0 0.02
                  CC_Base_L_Eye | head | 0.08 0.03 0.06
                  CC_Base_R_Eye | head | 0.08 -0.03 0.06
          *
            CC_Base_{S}_RibsTwist | spine3 | 0.05 0.1 0.05
              CC_Base_{S}_Breast | spine3 | 0.12 0.1 0.05
            CC_Base_{S}_Clavicle | collar
              CC_Base_{S}_Upperarm | shoulder
                CC_Base_{S}_UpperarmTwist01 | shoulder | 0 0.05 0
                  CC_Base_{S}_UpperarmTwist02 | shoulder | 0 0.15 0
                CC_Base_{S}_Forearm | elbow
                  CC_Base_{S}_ElbowShareBone | elbow
                  CC_Base_{S}_ForearmTwist01 | elbow | 0 0.05 0
                    CC_Base_{S}_ForearmTwist02 | elbow | 0 0.15 0
                  CC_Base_{S}_Hand | wrist
                    CC_Base_{S}_Index1 | wrist | 0.02 0.09 0
                      CC_Base_{S}_Index2 | wrist | 0.02 0.13 0
                    CC_Base_{S}_Thumb1 | wrist | 0.03 0.03 0
"""

VROID = """
Root | world
  J_Bip_C_Hips | pelvis
    *
      J_Bip_{S}_UpperLeg | hip
        J_Bip_{S}_LowerLeg | knee
          J_Bip_{S}_Foot | ankle
            J_Bip_{S}_ToeBase | foot
      J_Sec_{S}_SkirtBack1 | pelvis | -0.1 0.08 -0.1
        J_Sec_{S}_SkirtBack2 | pelvis | -0.12 0.1 -0.3
          J_Sec_{S}_SkirtBack3 | pelvis | -0.14 0.12 -0.5
    J_Bip_C_Spine | spine1
      J_Bip_C_Chest | spine2
        J_Bip_C_UpperChest | spine3
          J_Sec_L_Bust1 | spine3 | 0.1 0.06 0.05
          J_Sec_R_Bust1 | spine3 | 0.1 -0.06 0.05
          J_Bip_C_Neck | neck
            J_Bip_C_Head | head
              J_Adj_L_FaceEye | head | 0.06 0.03 0.05
              J_Adj_R_FaceEye | head | 0.06 -0.03 0.05
              *
                J_Sec_Hair1_{S} | head | -0.05 0.06 0.15
                  J_Sec_Hair2_{S} | head | -0.1 0.08 -0.1
                    J_Sec_Hair3_{S} | head | -0.12 0.1 -0.4
          *
            J_Bip_{S}_Shoulder | collar
              J_Bip_{S}_UpperArm | shoulder
                J_Bip_{S}_LowerArm | elbow
                  J_Bip_{S}_Hand | wrist
                    J_Bip_{S}_Index1 | wrist | 0.02 0.09 0
                      J_Bip_{S}_Index2 | wrist | 0.02 0.13 0
"""

RIGIFY = """
DEF-spine | pelvis
  *
    DEF-pelvis.{S} | pelvis | 0.03 0.05 0.06
    DEF-thigh.{S} | hip
      DEF-thigh.{S}.001 | hip | 0 0 -0.2
        DEF-shin.{S} | knee
          DEF-shin.{S}.001 | knee | 0 0 -0.21
            DEF-foot.{S} | ankle
              DEF-toe.{S} | foot
  DEF-spine.001 | spine1
    DEF-spine.002 | spine2
      DEF-spine.003 | spine3
        DEF-spine.004 | neck
          DEF-spine.005 | neck | 0 0 0.05
            DEF-spine.006 | head
        *
          DEF-breast.{S} | spine3 | 0.1 0.08 0.05
          DEF-shoulder.{S} | collar
            DEF-upper_arm.{S} | shoulder
              DEF-upper_arm.{S}.001 | shoulder | 0 0.13 0
                DEF-forearm.{S} | elbow
                  DEF-forearm.{S}.001 | elbow | 0 0.13 0
                    DEF-hand.{S} | wrist
                      DEF-palm.01.{S} | wrist | 0.01 0.03 0
                        DEF-f_index.01.{S} | wrist | 0.02 0.09 0
                          DEF-f_index.02.{S} | wrist | 0.02 0.13 0
"""

METARIG = """
spine | pelvis
  *
    pelvis.{S} | pelvis | 0.03 0.05 0.06
    thigh.{S} | hip
      shin.{S} | knee
        foot.{S} | ankle
          toe.{S} | foot
          heel.02.{S} | ankle | -0.04 0 -0.08
  spine.001 | spine1
    spine.002 | spine2
      spine.003 | spine3
        spine.004 | neck
          spine.006 | head
        *
          shoulder.{S} | collar
            upper_arm.{S} | shoulder
              forearm.{S} | elbow
                hand.{S} | wrist
"""
