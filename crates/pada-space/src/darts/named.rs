//! Published genotypes. Tests of pada-graph compare their parameters and multiply-adds with the published numbers.

use crate::NamedArch;

const QUARK0: &str = "https://github.com/quark0/darts/blob/f276dd3/cnn/genotypes.py";
const DXY: &str =
    "https://github.com/D-X-Y/AutoDL-Projects/blob/f46486e/xautodl/nas_infer_model/DXYs/genotypes.py";
const DARTS_PT: &str = "https://github.com/ruocwang/darts-pt/blob/4ec3149/sota/cnn/genotypes.py";
const NSAS: &str = "https://github.com/MiaoZhang0525/NSAS_FOR_CVPR/blob/6fa070e/CNN/genotypes.py";
const GM: &str = "https://github.com/skhu101/GM-NAS/blob/a69837d/WS-GM/sota/cnn/genotypes.py";
/// DIFFERS: this genotype is not from the authors of ENAS. Three public transcriptions disagree, and this is the first of them.
const ENAS: &str = "three public transcriptions that disagree; low confidence";

/// Published genotypes by name, in Python notation without `Genotype(…)`.
///
/// [`Genotype::parse`](super::Genotype::parse) reads all of them. Genotypes with five nodes (NASNet, AmoebaNet, PNASNet, ENAS) or with
/// operations that have no digit are not in [`Darts`](super::Darts).
pub const DARTS_NAMED: &[NamedArch] = &[
    NamedArch {
        name: "NASNet",
        text: "normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 0), \
            ('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), ('avg_pool_3x3', 0), ('sep_conv_3x3', 1), \
            ('skip_connect', 1)], \
            normal_concat=[2, 3, 4, 5, 6], \
            reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0), ('max_pool_3x3', 1), ('sep_conv_7x7', 0), \
            ('avg_pool_3x3', 1), ('sep_conv_5x5', 0), ('skip_connect', 3), ('avg_pool_3x3', 2), ('sep_conv_3x3', 2), \
            ('max_pool_3x3', 1)], \
            reduce_concat=[4, 5, 6]",
        source: QUARK0,
    },
    NamedArch {
        name: "AmoebaNet",
        text: "normal=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 2), \
            ('sep_conv_3x3', 0), ('avg_pool_3x3', 3), ('sep_conv_3x3', 1), ('skip_connect', 1), ('skip_connect', 0), \
            ('avg_pool_3x3', 1)], \
            normal_concat=[4, 5, 6], \
            reduce=[('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('sep_conv_7x7', 2), \
            ('sep_conv_7x7', 0), ('avg_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1), ('conv_7x1_1x7', 0), \
            ('sep_conv_3x3', 5)], \
            reduce_concat=[3, 4, 6]",
        source: QUARK0,
    },
    NamedArch {
        name: "DARTS_V1",
        text: "normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), \
            ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), \
            ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], \
            reduce_concat=[2, 3, 4, 5]",
        source: QUARK0,
    },
    NamedArch {
        name: "DARTS_V2",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
            ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), \
            ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
            reduce_concat=[2, 3, 4, 5]",
        source: QUARK0,
    },
    NamedArch {
        name: "GDAS_V1",
        text: "normal=[('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('sep_conv_5x5', 2), \
            ('sep_conv_3x3', 3), ('skip_connect', 0), ('sep_conv_5x5', 4), ('sep_conv_3x3', 3)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('sep_conv_5x5', 2), ('sep_conv_5x5', 1), \
            ('dil_conv_5x5', 2), ('sep_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_5x5', 1)], \
            reduce_concat=[2, 3, 4, 5]",
        source: DXY,
    },
    NamedArch {
        name: "PNASNet",
        text: "normal=[('sep_conv_5x5', 0), ('max_pool_3x3', 0), ('sep_conv_7x7', 1), ('max_pool_3x3', 1), \
            ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 4), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), \
            ('skip_connect', 1)], \
            normal_concat=[2, 3, 4, 5, 6], \
            reduce=[('sep_conv_5x5', 0), ('max_pool_3x3', 0), ('sep_conv_7x7', 1), ('max_pool_3x3', 1), \
            ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 4), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), \
            ('skip_connect', 1)], \
            reduce_concat=[2, 3, 4, 5, 6]",
        source: DXY,
    },
    NamedArch {
        name: "darts_pt_s5_0",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_5x5', 0), ('dil_conv_3x3', 1), \
            ('skip_connect', 0), ('skip_connect', 2), ('skip_connect', 0), ('max_pool_3x3', 4)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('sep_conv_3x3', 0), ('avg_pool_3x3', 1), ('dil_conv_5x5', 1), ('dil_conv_3x3', 2), \
            ('avg_pool_3x3', 0), ('max_pool_3x3', 2), ('sep_conv_3x3', 2), ('skip_connect', 4)], \
            reduce_concat=[2, 3, 4, 5]",
        source: DARTS_PT,
    },
    NamedArch {
        name: "darts_pt_s5_1",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1), \
            ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 0), ('dil_conv_3x3', 4)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('dil_conv_5x5', 0), ('avg_pool_3x3', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 2), \
            ('max_pool_3x3', 1), ('dil_conv_3x3', 3), ('sep_conv_5x5', 0), ('sep_conv_3x3', 4)], \
            reduce_concat=[2, 3, 4, 5]",
        source: DARTS_PT,
    },
    NamedArch {
        name: "darts_pt_s5_2",
        text: "normal=[('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1), \
            ('skip_connect', 2), ('dil_conv_3x3', 3), ('max_pool_3x3', 1), ('skip_connect', 2)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('avg_pool_3x3', 0), ('sep_conv_3x3', 1), \
            ('dil_conv_5x5', 2), ('skip_connect', 3), ('sep_conv_3x3', 2), ('sep_conv_5x5', 4)], \
            reduce_concat=[2, 3, 4, 5]",
        source: DARTS_PT,
    },
    NamedArch {
        name: "darts_pt_s5_3",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
            ('skip_connect', 0), ('skip_connect', 2), ('sep_conv_3x3', 1), ('skip_connect', 3)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('max_pool_3x3', 1), ('skip_connect', 2), \
            ('dil_conv_5x5', 1), ('max_pool_3x3', 3), ('sep_conv_5x5', 2), ('skip_connect', 3)], \
            reduce_concat=[2, 3, 4, 5]",
        source: DARTS_PT,
    },
    NamedArch {
        name: "blank_pt_s5_0",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
            ('avg_pool_3x3', 1), ('skip_connect', 3), ('max_pool_3x3', 0), ('avg_pool_3x3', 2)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('skip_connect', 0), ('sep_conv_5x5', 1), ('dil_conv_3x3', 1), ('sep_conv_5x5', 2), \
            ('max_pool_3x3', 0), ('skip_connect', 3), ('max_pool_3x3', 0), ('max_pool_3x3', 2)], \
            reduce_concat=[2, 3, 4, 5]",
        source: DARTS_PT,
    },
    NamedArch {
        name: "blank_pt_s5_1",
        text: "normal=[('avg_pool_3x3', 0), ('avg_pool_3x3', 1), ('sep_conv_3x3', 0), ('max_pool_3x3', 2), \
            ('skip_connect', 2), ('sep_conv_3x3', 3), ('sep_conv_5x5', 0), ('sep_conv_5x5', 1)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('dil_conv_5x5', 1), ('sep_conv_3x3', 0), ('skip_connect', 1), \
            ('avg_pool_3x3', 2), ('max_pool_3x3', 3), ('sep_conv_5x5', 3), ('sep_conv_5x5', 4)], \
            reduce_concat=[2, 3, 4, 5]",
        source: DARTS_PT,
    },
    NamedArch {
        name: "blank_pt_s5_3",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 1), \
            ('max_pool_3x3', 2), ('sep_conv_3x3', 3), ('avg_pool_3x3', 0), ('sep_conv_5x5', 1)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('dil_conv_5x5', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 0), ('dil_conv_3x3', 1), \
            ('avg_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('skip_connect', 4)], \
            reduce_concat=[2, 3, 4, 5]",
        source: DARTS_PT,
    },
    NamedArch {
        name: "Random_NSAS",
        text: "normal=[('sep_conv_5x5', 1), ('dil_conv_3x3', 0), ('dil_conv_3x3', 1), ('sep_conv_3x3', 0), \
            ('sep_conv_5x5', 1), ('avg_pool_3x3', 0), ('skip_connect', 0), ('none', 1)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('dil_conv_3x3', 0), ('none', 1), ('dil_conv_3x3', 0), ('avg_pool_3x3', 1), ('dil_conv_5x5', 2), \
            ('dil_conv_5x5', 3), ('none', 0), ('sep_conv_3x3', 3)], \
            reduce_concat=[2, 3, 4, 5]",
        source: NSAS,
    },
    NamedArch {
        name: "Random_NSAS_C",
        text: "normal=[('sep_conv_3x3', 1), ('dil_conv_3x3', 0), ('dil_conv_3x3', 2), ('sep_conv_3x3', 0), \
            ('sep_conv_3x3', 3), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_5x5', 4)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('dil_conv_3x3', 0), ('max_pool_3x3', 1), ('dil_conv_3x3', 0), ('avg_pool_3x3', 2), \
            ('dil_conv_3x3', 0), ('sep_conv_3x3', 3), ('avg_pool_3x3', 0), ('dil_conv_5x5', 4)], \
            reduce_concat=[2, 3, 4, 5]",
        source: NSAS,
    },
    NamedArch {
        name: "XNAS",
        text: "normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('sep_conv_3x3', 2), \
            ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('dil_conv_5x5', 4), ('sep_conv_3x3', 0)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('avg_pool_3x3', 1), ('avg_pool_3x3', 0), ('skip_connect', 2), \
            ('dil_conv_3x3', 3), ('max_pool_3x3', 0), ('dil_conv_5x5', 4), ('avg_pool_3x3', 0)], \
            reduce_concat=[2, 3, 4, 5]",
        source: NSAS,
    },
    NamedArch {
        name: "search_darts_sota_ws_res_s5_0_cos_e0_edge_crit_grad_split_crit_grad_fix_alpha_equal_res_final_fix_sche_2_4_6_15_id_1",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 2), ('sep_conv_5x5', 0), \
            ('dil_conv_5x5', 3), ('sep_conv_5x5', 2), ('skip_connect', 0), ('dil_conv_3x3', 1)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('skip_connect', 2), \
            ('max_pool_3x3', 0), ('sep_conv_5x5', 3), ('sep_conv_5x5', 4), ('sep_conv_5x5', 3)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "search_darts_sota_ws_res_s5_1_cos_e0_edge_crit_grad_split_crit_grad_fix_alpha_equal_res_final_fix_sche_2_4_6_15_id_0",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), ('sep_conv_3x3', 1), \
            ('dil_conv_5x5', 3), ('sep_conv_3x3', 2), ('skip_connect', 0), ('sep_conv_3x3', 1)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1), \
            ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), ('skip_connect', 3)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "search_darts_sota_ws_res_s5_2_cos_e0_edge_crit_grad_split_crit_grad_fix_alpha_equal_res_final_fix_sche_2_4_6_15_id_5",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('dil_conv_3x3', 2), ('sep_conv_5x5', 1), \
            ('sep_conv_3x3', 1), ('dil_conv_5x5', 3), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('dil_conv_5x5', 2), ('sep_conv_3x3', 0), \
            ('dil_conv_3x3', 3), ('skip_connect', 1), ('dil_conv_5x5', 4), ('sep_conv_5x5', 3)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "search_darts_sota_ws_res_s5_3_cos_e0_edge_crit_grad_split_crit_grad_fix_alpha_equal_res_final_fix_sche_2_4_6_15_id_6",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 2), \
            ('sep_conv_3x3', 1), ('dil_conv_3x3', 3), ('dil_conv_3x3', 2), ('sep_conv_5x5', 1)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('dil_conv_5x5', 2), \
            ('max_pool_3x3', 0), ('skip_connect', 2), ('max_pool_3x3', 0), ('dil_conv_3x3', 2)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "search_darts_so_sota_ws_s5_0_cos_e0_edge_crit_grad_split_crit_grad_fix_alpha_equal_res_final_fix_sche_2_4_6_15_id_7",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
            ('skip_connect', 1), ('dil_conv_5x5', 3), ('sep_conv_3x3', 1), ('skip_connect', 0)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), \
            ('dil_conv_5x5', 3), ('skip_connect', 2), ('dil_conv_5x5', 3), ('dil_conv_5x5', 4)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "search_darts_so_sota_ws_s5_1_cos_e0_edge_crit_grad_split_crit_grad_fix_alpha_equal_res_final_fix_sche_2_4_6_15_id_4",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('dil_conv_3x3', 2), \
            ('sep_conv_5x5', 0), ('dil_conv_5x5', 3), ('skip_connect', 0), ('sep_conv_3x3', 1)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('max_pool_3x3', 1), \
            ('max_pool_3x3', 1), ('skip_connect', 3), ('max_pool_3x3', 1), ('skip_connect', 3)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "search_darts_so_sota_ws_s5_2_cos_e0_edge_crit_grad_split_crit_grad_fix_alpha_equal_res_final_fix_sche_2_4_6_15_id_6",
        text: "normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('dil_conv_5x5', 2), \
            ('sep_conv_3x3', 1), ('dil_conv_5x5', 2), ('dil_conv_3x3', 1), ('skip_connect', 0)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('max_pool_3x3', 0), \
            ('skip_connect', 2), ('skip_connect', 3), ('skip_connect', 2), ('sep_conv_5x5', 4)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "search_darts_so_sota_ws_s5_3_cos_e0_edge_crit_grad_split_crit_grad_fix_alpha_equal_res_final_fix_sche_2_4_6_15_id_0",
        text: "normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 2), ('sep_conv_3x3', 0), \
            ('dil_conv_5x5', 3), ('dil_conv_5x5', 2), ('skip_connect', 0), ('dil_conv_3x3', 1)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), \
            ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('skip_connect', 3)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "search_snas_ws_darts_res_s5_0_cos_e0_edge_crit_grad_split_crit_grad_fix_alpha_equal_res_final_fix_sche_2_4_6_15_id_6",
        text: "normal=[('sep_conv_5x5', 1), ('sep_conv_5x5', 0), ('sep_conv_5x5', 0), ('sep_conv_5x5', 2), \
            ('sep_conv_5x5', 3), ('sep_conv_5x5', 1), ('dil_conv_5x5', 2), ('sep_conv_5x5', 1)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1), \
            ('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "search_snas_ws_darts_res_s5_2_cos_e0_edge_crit_grad_split_crit_grad_fix_alpha_equal_res_final_fix_sche_2_4_6_15_id_2",
        text: "normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2), ('sep_conv_3x3', 1), \
            ('dil_conv_3x3', 3), ('sep_conv_3x3', 2), ('sep_conv_3x3', 1), ('skip_connect', 2)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('max_pool_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', 0), ('skip_connect', 2), \
            ('skip_connect', 3), ('skip_connect', 2), ('max_pool_3x3', 0), ('dil_conv_5x5', 4)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "few_shot_NAS_arch",
        text: "normal=[('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
            ('sep_conv_3x3', 2), ('sep_conv_3x3', 0), ('sep_conv_3x3', 2), ('dil_conv_5x5', 0)], \
            normal_concat=[2, 3, 4, 5], \
            reduce=[('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
            ('skip_connect', 2), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 3)], \
            reduce_concat=[2, 3, 4, 5]",
        source: GM,
    },
    NamedArch {
        name: "ENAS",
        text: "normal=[('sep_conv_3x3', 1), ('skip_connect', 1), ('sep_conv_5x5', 1), ('skip_connect', 0), \
            ('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('avg_pool_3x3', 1), ('sep_conv_5x5', 1), \
            ('avg_pool_3x3', 0)], \
            normal_concat=[2, 3, 4, 5, 6], \
            reduce=[('sep_conv_5x5', 0), ('avg_pool_3x3', 1), ('sep_conv_3x3', 1), ('avg_pool_3x3', 1), \
            ('sep_conv_3x3', 1), ('avg_pool_3x3', 1), ('sep_conv_5x5', 4), ('avg_pool_3x3', 1), ('sep_conv_3x3', 5), \
            ('sep_conv_5x5', 0)], \
            reduce_concat=[2, 3, 6]",
        source: ENAS,
    },
];

/// The five cells of AGNAS, in the order of the network: before, at, and after the first reduction, at the second reduction, and after it.
///
/// AGNAS has no single genotype. [`DartsCells`](super::DartsCells) reads the name of [`AGNAS_NETWORK`] as these cells.
///
/// # Source
/// <https://github.com/Sunzh1996/AGNAS/blob/bbeb8a5/Darts_Search_Space/genotypes.py>, lines 85 to 90
pub const AGNAS: [NamedArch; 5] = [
    NamedArch {
        name: "AGNAS Cell_0",
        text: "[('sep_conv_3x3', 0), ('dil_conv_3x3', 1), ('dil_conv_5x5', 0), ('skip_connect', 1),  \
            ('sep_conv_3x3', 0), ('sep_conv_5x5', 3), ('dil_conv_5x5', 0), ('sep_conv_3x3', 3)]",
        source: AGNAS_SOURCE,
    },
    NamedArch {
        name: "AGNAS Cell_2",
        text: "[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('skip_connect', 0), ('sep_conv_5x5', 1),  \
            ('max_pool_3x3', 0), ('skip_connect', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1)]",
        source: AGNAS_SOURCE,
    },
    NamedArch {
        name: "AGNAS Cell_3",
        text: "[('skip_connect', 0), ('sep_conv_3x3', 1), ('dil_conv_5x5', 0), ('sep_conv_3x3', 1),  \
            ('dil_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('dil_conv_5x5', 4)]",
        source: AGNAS_SOURCE,
    },
    NamedArch {
        name: "AGNAS Cell_5",
        text: "[('skip_connect', 1), ('skip_connect', 0), ('dil_conv_3x3', 1), ('dil_conv_3x3', 0),  \
            ('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('avg_pool_3x3', 0), ('max_pool_3x3', 1)]",
        source: AGNAS_SOURCE,
    },
    NamedArch {
        name: "AGNAS Cell_6",
        text: "[('skip_connect', 0), ('dil_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),  \
            ('sep_conv_5x5', 0), ('max_pool_3x3', 2), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1)]",
        source: AGNAS_SOURCE,
    },
];

/// The network of the cells in [`AGNAS`]. Its text is its name.
pub const AGNAS_NETWORK: NamedArch = NamedArch { name: "AGNAS", text: "AGNAS", source: AGNAS_SOURCE };

const AGNAS_SOURCE: &str = "https://github.com/Sunzh1996/AGNAS/blob/bbeb8a5/Darts_Search_Space/genotypes.py";
