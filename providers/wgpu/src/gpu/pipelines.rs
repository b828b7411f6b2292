//! Kernels, compiled once per device.

use std::num::NonZeroU64;
use std::sync::{Arc, PoisonError};

use remuda_sdk::Failure;

use super::{Gpu, Memory};
use crate::shaders::Kernel;

/// How many buffers a kernel reads and writes, as wgpu wants to know it.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    group: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
}

/// A compiled kernel.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroupLayout,
}

impl Pipeline {
    /// Binds parts of buffers, each from a byte on and so many bytes of it: what is read, what is written, the
    /// parameters.
    pub(crate) fn bind(
        &self,
        device: &wgpu::Device,
        bindings: &[(&Memory, u64, u64)],
    ) -> wgpu::BindGroup {
        let mut entries = Vec::with_capacity(bindings.len());
        for (binding, (memory, offset, bytes)) in (0..).zip(bindings) {
            let size = NonZeroU64::new(*bytes);
            let part = wgpu::BufferBinding { buffer: &memory.buffer, offset: *offset, size };
            let resource = wgpu::BindingResource::Buffer(part);
            entries.push(wgpu::BindGroupEntry { binding, resource });
        }
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.group,
            entries: &entries,
        })
    }
}

impl Gpu {
    fn layout(&self, inputs: usize, outputs: usize) -> Result<Layout, Failure> {
        let mut kept = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layout) = kept.get(&(inputs, outputs)) {
            return Ok(layout.clone());
        }
        let entry = |binding: usize| wgpu::BindGroupLayoutEntry {
            binding: u32::try_from(binding).unwrap_or(u32::MAX),
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage {
                    read_only: binding < inputs || binding == inputs + outputs,
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = (0..=inputs + outputs).map(entry).collect();
        let layout = self.guarded(|| {
            let group = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: None,
                entries: &entries,
            });
            let pipeline = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&group)],
                immediate_size: 0,
            });
            Layout { group, pipeline }
        })?;
        kept.insert((inputs, outputs), layout.clone());
        Ok(layout)
    }

    /// A kernel, compiled if it is not yet.
    pub(crate) fn pipeline(&self, kernel: &Kernel) -> Result<Arc<Pipeline>, Failure> {
        if let Some(pipeline) =
            self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).get(kernel)
        {
            return Ok(Arc::clone(pipeline));
        }
        let layout = self.layout(kernel.inputs, kernel.outputs)?;
        let pipeline = self.guarded(|| {
            let source = wgpu::ShaderSource::Wgsl(kernel.source.as_str().into());
            let module = self
                .device
                .create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: Some(&layout.pipeline),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            })
        })?;
        let pipeline = Arc::new(Pipeline { pipeline, group: layout.group });
        let mut kept = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(kept.entry(kernel.clone()).or_insert(pipeline)))
    }
}
