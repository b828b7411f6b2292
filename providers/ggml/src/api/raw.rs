//! The functions and structs of ggml that are used, as its headers declare them.

use std::ffi::{c_char, c_int, c_void};

/// The head of a `ggml_tensor`; the rest of it is never touched from here.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) ty: c_int,
    pub(super) buffer: *mut c_void,
    pub(super) ne: [i64; 4],
    pub(super) nb: [usize; 4],
}

/// `ggml_init_params`.
#[repr(C)]
pub(super) struct InitParams {
    pub(super) bytes: usize,
    pub(super) memory: *mut c_void,
    pub(super) no_alloc: bool,
}

/// `ggml_threadpool_params`.
#[repr(C)]
pub(super) struct PoolParams {
    pub(super) mask: [bool; 512],
    pub(super) threads: c_int,
    pub(super) priority: c_int,
    pub(super) poll: u32,
    pub(super) strict: bool,
    pub(super) paused: bool,
}

/// Handles whose content is ggml's own.
pub(super) type Raw = *mut c_void;
pub(super) type Ten = *mut Head;
pub(super) type Cancelled = unsafe extern "C" fn(context: *mut c_void) -> bool;
type Log = unsafe extern "C" fn(level: c_int, text: *const c_char, context: *mut c_void);

/// Declares the table of functions and how it is filled.
macro_rules! functions {
    ($($name:ident: fn($($arg:ty),*) $(-> $out:ty)?;)*) => {
        pub(super) struct Functions {
            $(pub(super) $name: unsafe extern "C" fn($($arg),*) $(-> $out)?,)*
        }

        impl Functions {
            /// Looks every function up in these libraries; the error is the name of a missing one.
            pub(super) fn find(
                libraries: &[&'static libloading::Library],
            ) -> Result<Self, &'static str> {
                $(let $name = {
                    type Function = unsafe extern "C" fn($($arg),*) $(-> $out)?;
                    let name = concat!(stringify!($name), "\0").as_bytes();
                    // SAFETY: the symbol has this type in the versions that are accepted.
                    let find = |library: &&'static libloading::Library| unsafe {
                        library.get::<Function>(name).ok().map(|function| *function)
                    };
                    libraries.iter().find_map(find).ok_or(stringify!($name))?
                };)*
                Ok(Self { $($name),* })
            }
        }
    };
}

functions! {
    ggml_version: fn() -> *const c_char;
    ggml_log_set: fn(Option<Log>, Raw);
    ggml_init: fn(InitParams) -> Raw;
    ggml_free: fn(Raw);
    ggml_tensor_overhead: fn() -> usize;
    ggml_graph_overhead_custom: fn(usize, bool) -> usize;
    ggml_blck_size: fn(c_int) -> i64;
    ggml_type_size: fn(c_int) -> usize;
    ggml_nbytes: fn(*const Head) -> usize;
    ggml_is_contiguous: fn(*const Head) -> bool;
    ggml_is_view: fn(*const Head) -> bool;
    ggml_set_input: fn(Ten);
    ggml_set_output: fn(Ten);
    ggml_new_tensor: fn(Raw, c_int, c_int, *const i64) -> Ten;
    ggml_new_graph_custom: fn(Raw, usize, bool) -> Raw;
    ggml_build_forward_expand: fn(Raw, Ten);
    ggml_graph_n_nodes: fn(Raw) -> c_int;
    ggml_graph_node: fn(Raw, c_int) -> Ten;

    ggml_add: fn(Raw, Ten, Ten) -> Ten;
    ggml_sub: fn(Raw, Ten, Ten) -> Ten;
    ggml_mul: fn(Raw, Ten, Ten) -> Ten;
    ggml_div: fn(Raw, Ten, Ten) -> Ten;
    ggml_sqr: fn(Raw, Ten) -> Ten;
    ggml_sqrt: fn(Raw, Ten) -> Ten;
    ggml_log: fn(Raw, Ten) -> Ten;
    ggml_sin: fn(Raw, Ten) -> Ten;
    ggml_cos: fn(Raw, Ten) -> Ten;
    ggml_unary: fn(Raw, Ten, c_int) -> Ten;
    ggml_swiglu_split: fn(Raw, Ten, Ten) -> Ten;
    ggml_leaky_relu: fn(Raw, Ten, f32, bool) -> Ten;
    ggml_scale_bias: fn(Raw, Ten, f32, f32) -> Ten;
    ggml_clamp: fn(Raw, Ten, f32, f32) -> Ten;
    ggml_sum_rows: fn(Raw, Ten) -> Ten;
    ggml_mean: fn(Raw, Ten) -> Ten;
    ggml_norm: fn(Raw, Ten, f32) -> Ten;
    ggml_rms_norm: fn(Raw, Ten, f32) -> Ten;
    ggml_group_norm: fn(Raw, Ten, c_int, f32) -> Ten;
    ggml_soft_max_ext: fn(Raw, Ten, Ten, f32, f32) -> Ten;
    ggml_mul_mat: fn(Raw, Ten, Ten) -> Ten;
    ggml_get_rows: fn(Raw, Ten, Ten) -> Ten;
    ggml_set_rows: fn(Raw, Ten, Ten, Ten) -> Ten;
    ggml_rope_ext: fn(Raw, Ten, Ten, Ten, c_int, c_int, c_int, f32, f32, f32, f32, f32, f32) -> Ten;
    ggml_flash_attn_ext: fn(Raw, Ten, Ten, Ten, Ten, f32, f32, f32) -> Ten;
    ggml_repeat_4d: fn(Raw, Ten, i64, i64, i64, i64) -> Ten;
    ggml_concat: fn(Raw, Ten, Ten, c_int) -> Ten;
    ggml_cont: fn(Raw, Ten) -> Ten;
    ggml_reshape_4d: fn(Raw, Ten, i64, i64, i64, i64) -> Ten;
    ggml_view_4d: fn(Raw, Ten, i64, i64, i64, i64, usize, usize, usize, usize) -> Ten;
    ggml_permute: fn(Raw, Ten, c_int, c_int, c_int, c_int) -> Ten;
    ggml_pad_ext: fn(Raw, Ten, c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int) -> Ten;
    ggml_conv_2d_direct: fn(Raw, Ten, Ten, c_int, c_int, c_int, c_int, c_int, c_int) -> Ten;
    ggml_conv_2d_dw_direct: fn(Raw, Ten, Ten, c_int, c_int, c_int, c_int, c_int, c_int) -> Ten;
    ggml_pool_2d: fn(Raw, Ten, c_int, c_int, c_int, c_int, c_int, f32, f32) -> Ten;

    ggml_gallocr_new: fn(Raw) -> Raw;
    ggml_gallocr_free: fn(Raw);
    ggml_gallocr_alloc_graph: fn(Raw, Raw) -> bool;
    ggml_gallocr_get_buffer_size: fn(Raw, c_int) -> usize;

    ggml_backend_load_all_from_path: fn(*const c_char);
    ggml_backend_dev_count: fn() -> usize;
    ggml_backend_dev_get: fn(usize) -> Raw;
    ggml_backend_dev_name: fn(Raw) -> *const c_char;
    ggml_backend_dev_description: fn(Raw) -> *const c_char;
    ggml_backend_dev_memory: fn(Raw, *mut usize, *mut usize);
    ggml_backend_dev_type: fn(Raw) -> c_int;
    ggml_backend_dev_backend_reg: fn(Raw) -> Raw;
    ggml_backend_dev_init: fn(Raw, *const c_char) -> Raw;
    ggml_backend_dev_buffer_type: fn(Raw) -> Raw;
    ggml_backend_dev_buffer_from_host_ptr: fn(Raw, Raw, usize, usize) -> Raw;
    ggml_backend_dev_supports_op: fn(Raw, *const Head) -> bool;
    ggml_backend_reg_name: fn(Raw) -> *const c_char;
    ggml_backend_reg_get_proc_address: fn(Raw, *const c_char) -> Raw;
    ggml_backend_free: fn(Raw);
    ggml_backend_graph_compute: fn(Raw, Raw) -> c_int;
    ggml_backend_buft_alloc_buffer: fn(Raw, usize) -> Raw;
    ggml_backend_buft_get_alignment: fn(Raw) -> usize;
    ggml_backend_buft_get_max_size: fn(Raw) -> usize;
    ggml_backend_buft_get_alloc_size: fn(Raw, *const Head) -> usize;
    ggml_backend_buffer_free: fn(Raw);
    ggml_backend_buffer_get_base: fn(Raw) -> Raw;
    ggml_backend_buffer_clear: fn(Raw, u8);
    ggml_backend_buffer_set_usage: fn(Raw, c_int);
    ggml_backend_tensor_alloc: fn(Raw, Ten, Raw) -> c_int;
    ggml_backend_tensor_set: fn(Ten, *const c_void, usize, usize);
    ggml_backend_tensor_get: fn(*const Head, *mut c_void, usize, usize);
}
