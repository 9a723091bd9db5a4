//! Published networks of MobileNet blocks. Tests of pada-graph compare their parameters and multiply-adds with the published numbers.

use crate::NamedArch;

/// Published networks by name, in the notation of [`MobileSpec`](super::MobileSpec). MnasNet and FBNet are not in
/// [`Proxyless`](super::Proxyless).
pub const PROXYLESS_NAMED: &[NamedArch] = &[
    NamedArch {
        name: "proxyless_gpu",
        text: "stem 40; MB1 k3 ->24; (32,5,2,3) (56,7,2,3) (56,3,1,3) (112,7,2,6) (112,5,1,3) (128,5,1,6) (128,3,1,3) \
            (128,5,1,3) (256,7,2,6) (256,7,1,6)x2 (256,5,1,6) (432,7,1,6); 1728",
        source: "https://github.com/han-cai/files, proxylessnas/proxyless_gpu.config",
    },
    NamedArch {
        name: "proxyless_mobile",
        text: "stem 32; MB1 k3 ->16; (32,5,2,3) (32,3,1,3) (40,7,2,3) (40,3,1,3) (40,5,1,3)x2 (80,7,2,6) (80,5,1,3)x3 \
            (96,5,1,6) (96,5,1,3)x3 (192,7,2,6) (192,7,1,6) (192,7,1,3)x2 (320,7,1,6); 1280",
        source: "https://github.com/han-cai/files, proxylessnas/proxyless_mobile.config",
    },
    NamedArch {
        name: "FairNAS_A",
        text: "stem 32; MB1 k3 ->16; (32,7,2,3) (32,3,1,3) (40,7,2,3) (40,3,1,6) (40,7,1,6) (40,3,1,3) (80,3,2,3) \
            (80,7,1,6)x2 (80,5,1,3) (96,3,1,6) (96,5,1,3)x2 (96,3,1,6) (192,3,2,6) (192,7,1,6) (192,3,1,6) (192,7,1,6) \
            (320,5,1,6); 1280",
        source: "https://github.com/xiaomi-automl/FairNAS/blob/HEAD/models/FairNAS_A.py",
    },
    NamedArch {
        name: "GM_ProxylessNAS",
        text: "stem 32; MB1 k3 ->16; (24,7,2,6) (24,5,1,6)x3 (40,7,2,6) (40,5,1,6) (40,3,1,6) (40,5,1,6) (80,7,2,6) \
            (80,3,1,6) (80,5,1,6) (80,3,1,6) (96,5,1,6) (96,3,1,6)x3 (192,7,2,6) (192,7,1,6)x3 (320,3,1,6); 1280",
        source: "https://github.com/skhu101/GM-NAS/blob/a69837d/Imagenet_train/timm/models/my_models/\
            GM_ProxylessNAS_split_2_edge_2_3_group_subnetwork_1.config",
    },
    NamedArch {
        name: "MnasNet_A1",
        text: "stem 32; MB1 k3 ->16; (24,3,2,6) (24,3,1,6) (40,5,2,3,0.25) (40,5,1,3,0.25)x2 (80,3,2,6) (80,3,1,6)x3 \
            (112,3,1,6,0.25)x2 (160,5,2,6,0.25) (160,5,1,6,0.25)x2 (320,3,1,6); 1280; relu eps 1e-5",
        source: "_gen_mnasnet_a1 of timm",
    },
    NamedArch {
        name: "FBNet_C",
        text: "stem 16; (16,3,1,1) (24,3,2,6) skip (24,3,1,1)x2 (32,5,2,6) (32,5,1,3) (32,5,1,6) (32,3,1,6) (64,5,2,6) \
            (64,5,1,3) (64,5,1,6)x2 (112,5,1,6)x3 (112,5,1,3) (184,5,2,6) (184,5,1,6)x3 (352,3,1,6); 1984; relu eps 1e-5",
        source: "https://github.com/facebookresearch/mobile-vision, mobile_cv/arch/fbnet_v2/\
            fbnet_modeldef_cls_fbnet.py, fbnet_c",
    },
];
